"""FAMILIES: which adapter reads which `model_type`; a new family is a file in this folder and a line here."""

from introspect.errors import InputError
from introspect.models.looped import LoopedModel
from introspect.models.ouro_looped import OuroLooped
from introspect.models.raven_looped import RavenLooped

FAMILIES: dict[str, type[LoopedModel]] = {
    "ouro": OuroLooped,
    "huginn_raven": RavenLooped,
}


def family_of(model_type: str | None, *, name: str) -> type[LoopedModel]:
    """Find the adapter for a checkpoint's `model_type`; InputError naming it and the known ones."""
    if model_type not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise InputError(f"model {name!r} is of type {model_type!r}, which is no known looped family; known: {known}")
    return FAMILIES[model_type]
