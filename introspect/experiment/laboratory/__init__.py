"""A model made ready for trials, and how one is opened."""

from introspect.experiment.laboratory.laboratory import Laboratory
from introspect.experiment.laboratory.opening import open_laboratory
from introspect.experiment.laboratory.prompts import prompts_of

__all__ = ["Laboratory", "open_laboratory", "prompts_of"]
