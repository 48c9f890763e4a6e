"""FAMILIES: which adapter reads which `model_type`; a new family is a file in this folder and a line here."""

from collections.abc import Mapping
from typing import Any

from introspect.errors import InputError
from introspect.families.cotformer.model import CotformerLooped
from introspect.families.feedforward.foreign import OwnCodeLooped
from introspect.families.feedforward.model import FEED_FORWARD, FeedForwardLooped
from introspect.families.hrm_text.adapter import HrmLooped
from introspect.families.huginn.adapter import RavenLooped
from introspect.families.loopformer.model import LoopFormerLooped
from introspect.families.loopus.model import LoopUsLooped
from introspect.families.nanbeige.model import NanbeigeLooped
from introspect.families.nanochat.model import NanochatLooped
from introspect.families.ouro.adapter import OuroLooped
from introspect.families.parcae.model import ParcaeLooped
from introspect.families.ponder.model import PonderLooped
from introspect.families.ponderlm2.model import PonderLm2Looped
from introspect.families.recursive.adapter import RecursiveLooped
from introspect.families.retrofit.model import RetrofitLooped
from introspect.families.think_at_hard.model import TahLooped
from introspect.models.looped_model import LoopedModel

FAMILIES: dict[str, type[LoopedModel]] = {
    "ouro": OuroLooped,
    "huginn_raven": RavenLooped,
    "recursive_llama": RecursiveLooped,
    "hrm_text": HrmLooped,
    "retrofit": RetrofitLooped,
    "parcae": ParcaeLooped,
    "lds": LoopUsLooped,
    "nanbeige": NanbeigeLooped,
    "looped_nanochat": NanochatLooped,
    "ponder_gpt_neox": PonderLooped,
    "ponderlm2_gpt_neox": PonderLm2Looped,
    "loopformer": LoopFormerLooped,
    "cotformer": CotformerLooped,
    "think_at_hard": TahLooped,
    **dict.fromkeys(FEED_FORWARD, FeedForwardLooped),
}

NOT_RUN: dict[str, str] = {
    "looplm": "LoopLM-135M, one block in a loop between 4 and 2: its loop begins with noise in the code that trained "
    "it, and what its published loader begins with is not known here",
    "ponderlm2_llama": "PonderLM-2 on Llama: only PonderLM-2 on GPT-NeoX is known here",
}
"""Looped models that are known by name and not run, by what they are found by; also not by code of their own, which
would be seen as a model without loops."""

OWN_CODE = "--trust-remote-code would run its own code with all your rights, as a model without loops: read it first"
"""What is said of a checkpoint that brings code along."""


def family_of(settings: Mapping[str, Any], *, name: str, trust_remote_code: bool = False) -> type[LoopedModel]:
    """Find the adapter for a checkpoint's config.json; InputError naming its `model_type` and the known ones.

    With `trust_remote_code` a checkpoint of an unknown type is run by the code that it brings along.
    """
    model_type, brings_code = _kind(settings), "auto_map" in settings
    if model_type in NOT_RUN:
        raise InputError(f"model {name!r} is {NOT_RUN[model_type]}")
    if model_type not in FAMILIES:
        if trust_remote_code and brings_code:
            return OwnCodeLooped
        known = ", ".join(family for family in FAMILIES if family not in FEED_FORWARD)
        code = f" ({OWN_CODE})" if brings_code else ""
        raise InputError(
            f"model {name!r} is of type {model_type!r}, which is no known family{code}; looped ones are {known}, and "
            f"`introspect models` lists {len(FEED_FORWARD)} without loops"
        )
    return FAMILIES[model_type]


def _kind(settings: Mapping[str, Any]) -> str | None:
    """Return the `model_type`, or what to look for in place of one that says too little."""
    kind: str | None = settings.get("model_type")
    if kind == "huginn_raven" and "max_position_embeddings" in settings:
        return "retrofit"
    if settings.get("num_latent_thoughts"):
        return f"ponderlm2_{kind}"
    if settings.get("ponderinglm") is False:  # the published loader writes the steps all the same
        return kind
    if settings.get("ponderinglm") or settings.get("pondering_steps") is not None:
        return f"ponder_{kind}"
    if "mu_rec" in settings and "n_prelude" in settings:
        return "looplm"
    if kind is None and settings.get("_class_name") == "ParcaeConfig":
        return "parcae"
    return kind
