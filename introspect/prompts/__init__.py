"""Prompts: from a jinja2 template to chat messages, and to tokens with the injection span found exactly.

Needs neither torch nor transformers: a tokenizer is passed in.
"""

from introspect.prompts.filled import Prompts
from introspect.prompts.rendering import START, STOP, Mark, Prompt, render
from introspect.prompts.spans import Encoded, encode
from introspect.prompts.template import Template, template_named, template_names

__all__ = [
    "START",
    "STOP",
    "Encoded",
    "Mark",
    "Prompt",
    "Prompts",
    "Template",
    "encode",
    "render",
    "template_named",
    "template_names",
]
