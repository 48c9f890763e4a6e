"""FAMILIES: which adapter reads which `model_type`; a new family is a file in this folder and a line here."""

from introspect.errors import InputError
from introspect.models.feedforward import FEED_FORWARD, FeedForwardLooped
from introspect.models.hrm_text_looped import HrmLooped
from introspect.models.looped import LoopedModel
from introspect.models.ouro_looped import OuroLooped
from introspect.models.raven_looped import RavenLooped
from introspect.models.recursive_looped import RecursiveLooped

FAMILIES: dict[str, type[LoopedModel]] = {
    "ouro": OuroLooped,
    "huginn_raven": RavenLooped,
    "recursive_llama": RecursiveLooped,
    "hrm_text": HrmLooped,
    **dict.fromkeys(FEED_FORWARD, FeedForwardLooped),
}


def family_of(model_type: str | None, *, name: str) -> type[LoopedModel]:
    """Find the adapter for a checkpoint's `model_type`; InputError naming it and the known ones."""
    if model_type not in FAMILIES:
        known = ", ".join(family for family in FAMILIES if family not in FEED_FORWARD)
        raise InputError(
            f"model {name!r} is of type {model_type!r}, which is no known family; looped ones are {known}, and "
            f"`introspect models` lists {len(FEED_FORWARD)} without loops"
        )
    return FAMILIES[model_type]
