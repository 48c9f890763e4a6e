"""What can go wrong with one trial while its neighbours go on, and how it is said."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from introspect.records.response import Readout, Response
from introspect.records.trial import Trial

LARGEST_NORM = math.sqrt(torch.finfo(torch.float32).max)
"""Its square is the last that float32 holds, in which models take their norms whatever the number format: beyond it
the norm is infinite, the state divided by it is 0, and the logits look as if nothing were wrong."""


@dataclass(frozen=True)
class Failure:
    """A trial that gave no response."""

    trial: Trial
    message: str


class UnreachableError(ValueError):
    """No multiple of a vector gives the dose: the trial cannot be run, others can."""


def too_faint(trial: Trial) -> Failure:
    """Say that adding the vector left a position as it was."""
    assert trial.injection is not None
    strength = f"strength {trial.injection.strength} ({trial.injection.unit} units)"
    return Failure(trial, f"trial {trial.id}: {strength} is too faint to change the residual stream in {trial.dtype}")


def not_finite(trial: Trial, what: str = "the logits are") -> Failure:
    """Say that numbers, the logits unless others are named, came out as NaN or infinite."""
    why = "" if trial.injection is None else f" at strength {trial.injection.strength} ({trial.injection.unit} units)"
    return Failure(trial, f"trial {trial.id}: {what} not finite in {trial.dtype}{why}")


def checked(trial: Trial, result: Response | Failure) -> Response | Failure:
    """Return the response, or a failure where it holds a number that is not finite, or what was added is too large."""
    if isinstance(result, Failure):
        return result
    if result.vector_norm is not None and not result.vector_norm <= LARGEST_NORM:
        assert trial.injection is not None, f"trial {trial.id} injects nothing"
        strength = f"strength {trial.injection.strength} ({trial.injection.unit} units)"
        why = f"a norm of {result.vector_norm:.3g} overflows when it is squared"
        return Failure(trial, f"trial {trial.id}: {strength} is too large for the residual stream: {why}")
    broken = next((name for name, value in _numbers(result) if not math.isfinite(value)), None)
    return result if broken is None else not_finite(trial, f"{broken} is")


def _numbers(record: Any, name: str = "") -> Iterator[tuple[str, float]]:  # Any: records, numbers, text
    """Yield every float that a record holds, with the name of its field."""
    if isinstance(record, float):
        yield name, record
    elif isinstance(record, tuple):
        for each in record:
            yield from _numbers(each, name)
    elif is_dataclass(record):
        for field in fields(record):
            yield from _numbers(getattr(record, field.name), field.name)


def finite_rows(logits: Tensor) -> Tensor:
    """Tell for each row of `(rows, vocabulary)` whether a token can be drawn: no NaN, no +inf, something above -inf."""
    return torch.isfinite(logits.amax(-1))


def finite_readouts(readouts: Sequence[Readout]) -> bool:
    """Tell whether every number read out is finite."""
    return all(math.isfinite(x) for r in readouts for x in (r.logit_yes, r.logit_no, r.mass, r.entropy, *r.options))
