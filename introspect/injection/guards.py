"""What can go wrong with one trial while its neighbours go on, and how it is said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from introspect.records import Readout, Trial


@dataclass(frozen=True)
class Failure:
    """A trial that gave no response."""

    trial: Trial
    message: str


def too_faint(trial: Trial) -> Failure:
    """Say that adding the vector left a position as it was."""
    assert trial.injection is not None
    strength = f"strength {trial.injection.strength} ({trial.injection.unit} units)"
    return Failure(trial, f"trial {trial.id}: {strength} is too faint to change the residual stream in {trial.dtype}")


def not_finite(trial: Trial) -> Failure:
    """Say that the logits came out as NaN or infinite."""
    why = "" if trial.injection is None else f" at strength {trial.injection.strength} ({trial.injection.unit} units)"
    return Failure(trial, f"trial {trial.id}: the logits are not finite in {trial.dtype}{why}")


def finite_rows(logits: Tensor) -> Tensor:
    """Tell for each row of `(rows, vocabulary)` whether a token can be drawn: no NaN, no +inf, something above -inf."""
    return torch.isfinite(logits.amax(-1))


def finite_readouts(readouts: Sequence[Readout]) -> bool:
    """Tell whether every number read out is finite."""
    return all(math.isfinite(x) for r in readouts for x in (r.logit_yes, r.logit_no, r.mass, r.entropy, *r.options))
