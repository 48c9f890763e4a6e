"""The card of one model: what it is, where it can be injected into, and how large its states are.

Goes in: the name of a model. Comes out: a Card, which `introspect models NAME` prints.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from introspect.families.placement import dtype_name
from introspect.injection.prefix.memory import bytes_per_row
from introspect.injection.prefix.prefix import residual_norms
from introspect.injection.step.steps import engine_of
from introspect.models.about import About
from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Tap
from introspect.prompts import encode, render, template_named
from introspect.protocols import Occasion, protocol_named
from introspect.records.trial import Site

PROBE = "The ferry leaves at noon, and the children on the pier wave until it is out of sight."
"""A text of no particular content, on which norms are measured."""
NEW_TOKENS = 100


@dataclass(frozen=True)
class Card:
    """What is known of one model."""

    name: str
    model_type: str
    about: About
    parameters: int
    dtype: str
    n_loops: int
    """As trained."""
    layers: dict[str, int]
    """Layers of each stage."""
    d_model: int
    chat_format: str
    norms: dict[Site, float]
    """Mean norm of the residual stream at every site, over the tokens of the probe text but the first."""
    engine: str
    """How --engine auto runs the tokens after the first."""
    row_bytes: int
    """Memory of one row of a batch: the question `detect` and 100 new tokens, all loops."""


def card_of(looped: LoopedModel) -> Card:
    """Describe a loaded model."""
    asked = protocol_named("detect").questions[0].ask(Occasion("dust", ("dust",), 0))[0]
    question = encode(render(template_named("detect"), **asked.variables), looped.tokenizer)
    return Card(
        name=looped.name,
        model_type=looped.model.config.model_type,
        about=looped.about,
        parameters=sum(weight.numel() for weight in looped.model.parameters()),
        dtype=dtype_name(looped.dtype),
        n_loops=looped.n_loops,
        layers={str(stage): count for stage, count in looped.layers.items() if count},
        d_model=looped.d_model,
        chat_format=looped.chat_format,
        norms=probe_norms(looped),
        engine=engine_of(looped, "auto"),
        row_bytes=bytes_per_row(looped, question, n_loops=looped.n_loops, max_new_tokens=NEW_TOKENS),
    )


def probe_norms(looped: LoopedModel, text: str = PROBE) -> dict[Site, float]:
    """Measure the mean norm of the residual stream at every site, over the tokens of a text but the first."""
    ids = looped.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    norms: dict[Site, float] = {}
    visits = {site: partial(_measure, norms, site) for site in looped.sites()}
    Tap(looped).run(visits, input_ids=torch.as_tensor(ids, device=looped.device), use_cache=False)
    return norms


def _measure(norms: dict[Site, float], site: Site, h: Tensor) -> None:
    norms[site] = residual_norms(h[0, 1:]).mean().item()
