"""Run `transformers serve` with the Ouro layout made known to it: python tests/serve_judge.py FOLDER --port 8000."""

import sys

import transformers
from transformers import AutoConfig
from transformers.cli.transformers import app

from introspect.families.ouro.config import OuroConfig
from introspect.families.ouro.model import OuroForCausalLM

AutoConfig.register("ouro", OuroConfig)
transformers.OuroForCausalLM = OuroForCausalLM

if __name__ == "__main__":
    app(["serve", *sys.argv[1:]])
