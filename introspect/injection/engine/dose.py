"""The dose in nats: by what a vector is multiplied to move the next-token distribution after a text so far.

    KL(p_m || p_0) = strength,    p_m with m times the vector, p_0 with nothing injected

The text is a reference text, which no trial asks: a multiplier belongs to a vector, its sites and a dose, and is the
same for all questions. Were it looked for at the very token that a trial measures, it would fix what is measured.
(Older runs did that; their trials have no reference.) Takes a prompt that was run, a trial of unit "kl" and its vectors
at strength 1. Returns the smallest such m. It is looked for on ladders, each between two rungs of the one before,
always in slices of the same size, so that no digit of m hangs on what else is run.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from introspect.injection.engine.failures import UnreachableError
from introspect.injection.prefix.prefix import Prefix
from introspect.injection.step.injector import Injector
from introspect.injection.step.resume import Start
from introspect.models.tap import Tap
from introspect.records.trial import DRAWN, Sampling, Site, Trial

RUNGS = tuple(2.0**power for power in range(-8, 8))
"""Multipliers that are tried first."""
SLICE = 8
"""Rungs run side by side; each finer ladder has so many between its two ends."""
LADDERS = 2
_TOLERANCE = 0.02
"""How far, in proportion, the dose may be missed; two ladders of nine steps in a factor of 2 come nearer."""
KEPT_DOSES = 4096
"""First ladders, and multipliers, that are remembered, so that several strengths along one vector climb it once."""
UNREACHABLE = "unreachable dose"
"""What the message of a trial begins with, after its id, whose dose no multiplier gives."""

Pushes = Mapping[Site, Tensor]
"""What is added at each site at strength 1, `(d_model,)` in float64."""


def on_reference(trial: Trial) -> Trial:
    """Return a trial that asks the reference text, with the same injection; the trial itself where it has none.

    What is left of it is what its multiplier hangs on: vector, sites, dose, loops run and exit.
    """
    assert trial.injection is not None, f"trial {trial.id} injects nothing"
    text = trial.injection.reference
    if text is None:
        return trial
    asked = {"template": text, "template_hash": text, "question": "", "protocol": "", "variables": ()}
    injection = replace(trial.injection, weights=())
    return replace(trial, **asked, options=(), expected=None, injection=injection)  # type: ignore[arg-type]


class Doses:
    """Finds multipliers on one model."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._first: dict[Trial, list[float]] = {}
        self._found: dict[tuple[Trial, float], float] = {}

    def multiplier(self, prefix: Prefix, trial: Trial, pushes: Pushes) -> float:
        """Find what the vectors are multiplied with. Raises UnreachableError when nothing tried gives the dose.

        `prefix` is the prompt on which the dose is measured, `trial` one that asks it.
        """
        assert trial.injection is not None, f"trial {trial.id} injects nothing"
        target = trial.injection.strength
        if target == 0:
            return 0.0
        same = _same(trial), target
        if same not in self._found:
            _forget(self._found)
            self._found[same] = self._searched(prefix, trial, pushes, target)
        return self._found[same]

    def _searched(self, prefix: Prefix, trial: Trial, pushes: Pushes, target: float) -> float:
        rungs, nats = list(RUNGS), self._climbed_first(prefix, trial, pushes)
        for _ in range(LADDERS):
            low, high = _around(rungs, nats, target)
            between = [(1 - step) * low[0] + step * high[0] for step in _STEPS]
            found = self.divergences(prefix, trial, pushes, between)
            rungs, nats = [low[0], *between, high[0]], [low[1], *found, high[1]]
        rung, reached = min(zip(rungs, nats, strict=True), key=lambda pair: _miss(pair[1], target))
        if _miss(reached, target) > _TOLERANCE:
            raise UnreachableError(f"{UNREACHABLE}: near {rung:g} times the vector, {target:g} nats are jumped over")
        return rung

    def divergences(self, prefix: Prefix, trial: Trial, pushes: Pushes, rungs: Sequence[float]) -> list[float]:
        """Return the divergence in nats at each multiplier."""
        clean = prefix.logits.double().log_softmax(-1)
        found: list[float] = []
        for begin in range(0, len(rungs), SLICE):
            moved = self._logits(prefix, trial, pushes, rungs[begin : begin + SLICE]).double().log_softmax(-1)
            found += (moved.exp() * (moved - clean)).sum(-1).tolist()
        return found

    def _climbed_first(self, prefix: Prefix, trial: Trial, pushes: Pushes) -> list[float]:
        """Climb the first ladder, or remember it from another strength, repeat or way of drawing."""
        same = _same(trial)
        if same not in self._first:
            _forget(self._first)
            self._first[same] = self.divergences(prefix, trial, pushes, RUNGS)
        return self._first[same]

    def _logits(self, prefix: Prefix, trial: Trial, pushes: Pushes, rungs: Sequence[float]) -> Tensor:
        """Run the prompt once a rung, `(rung, vocabulary)`."""
        looped, rows = self._tap.looped, range(len(rungs))
        planned = [{site: rung * push for site, push in pushes.items()} for rung in rungs]
        injector, cache = Injector(planned, looped.dtype, looped.device), prefix.cache(len(rungs), 0)
        cache.aim(0, [0] * len(rungs), prefix.length)
        weights = prefix.weights([trial.injection] * len(rungs))
        return Start(self._tap, prefix, cache, injector, rows, min(pushes), weights).run()


_STEPS = torch.linspace(0, 1, SLICE + 2, dtype=torch.float64)[1:-1].tolist()


def _same(trial: Trial) -> Trial:
    """Return a trial that is the same for all strengths, repeats and ways of drawing."""
    assert trial.injection is not None
    seed = trial.seed if trial.arm in DRAWN else 0
    injection = replace(trial.injection, strength=1.0)
    return replace(trial, injection=injection, seed=seed, repeat=0, sampling=Sampling(exit=trial.sampling.exit))


def _forget(kept: dict[Any, Any]) -> None:  # Any: whatever is remembered
    """Make room for one more."""
    if len(kept) == KEPT_DOSES:
        del kept[next(iter(kept))]


def _around(rungs: list[float], nats: list[float], target: float) -> tuple[tuple[float, float], ...]:
    """Return the first two rungs, each with its divergence, between which the dose is passed; NaN is beyond it."""
    for low, high in pairwise(zip(rungs, nats, strict=True)):
        if low[1] < target and not high[1] < target:
            return low, high
    if nats[0] >= target:
        raise UnreachableError(f"{UNREACHABLE}: {rungs[0]:g} times the vector already moves {nats[0]:.3g} nats")
    most = max((number for number in nats if math.isfinite(number)), default=math.nan)
    raise UnreachableError(
        f"{UNREACHABLE}: no multiple of the vector up to {rungs[-1]:g} moves the next token by {target:g} nats; "
        f"the most is {most:.3g}"
    )


def _miss(nats: float, target: float) -> float:
    """Return how far a divergence is off, in proportion."""
    return abs(nats / target - 1) if math.isfinite(nats) else math.inf
