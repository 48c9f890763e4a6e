"""Run `transformers serve` with the Ouro layout made known to it: python tests/serve_judge.py FOLDER --port 8000."""

import sys

import transformers
from transformers import AutoConfig
from transformers.cli.transformers import app

from introspect.models.ouro import OuroForCausalLM
from introspect.models.ouro_config import OuroConfig

AutoConfig.register("ouro", OuroConfig)
transformers.OuroForCausalLM = OuroForCausalLM

if __name__ == "__main__":
    app(["serve", *sys.argv[1:]])
