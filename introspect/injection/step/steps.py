"""The steps of an answer: one token of each row through the whole model, with what is added to it.

Goes in: which trial stands in each row, the token drawn last, and how many the row has. Comes out: the logits of the
next one. `TracedStep` goes through nnsight, as every other forward here does. `GraphStep` has its additions in buffers
that stay where they are, so that nothing but their contents changes from step to step.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from introspect.errors import InputError
from introspect.injection.prefix.prefix import LEAST_ROWS, Prefix, inputs
from introspect.injection.step.additions import Additions
from introspect.injection.step.engines import ENGINES, EngineName, check_engine
from introspect.injection.step.frames import Frame, Frames
from introspect.injection.step.injector import Injector
from introspect.models.looped_model import LoopedModel
from introspect.models.row_cache import RowCache
from introspect.models.tap import Tap, Visit
from introspect.records.trial import Site
from introspect.selection import one_of

_Rows = Sequence[int]
"""The trial in each row."""
_FEW = 4
"""Where only one row in so many is left, a captured step, which runs all rows, takes longer than one as it stands."""


class _Step(Protocol):
    """Runs the rows of a pool one token further."""

    def admit(self, first: int, trials: _Rows) -> None:
        """Take note of trials that now stand in the rows from `first` on."""

    def leave(self, before: _Rows, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Take note that rows at the end have moved into gaps; `before` says who stood where until now."""

    def run(self, trials: _Rows, last: Sequence[int], written: Sequence[int]) -> Tensor:
        """Run the token drawn last in each row, before which it has `written` ones: `(rows, vocabulary)` logits."""

    def close(self) -> None:
        """Leave the model as it was."""


class TracedStep:
    """Steps through nnsight, which is called at every site where something is added."""

    def __init__(self, tap: Tap, prefix: Prefix, cache: RowCache, injector: Injector, weights: Tensor | None) -> None:
        self.tap, self.prefix, self.cache, self.injector, self.weights = tap, prefix, cache, injector, weights
        self.visits: dict[Site, Visit] | None = None
        """What is added to the rows as they stand; None when they have changed."""

    def admit(self, first: int, trials: _Rows) -> None:  # noqa: ARG002 (all is planned anew)
        """Take note that the rows have changed."""
        self.visits = None

    def leave(self, before: _Rows, sources: Sequence[int], targets: Sequence[int]) -> None:  # noqa: ARG002 (as above)
        """Take note that the rows have changed."""
        self.visits = None

    def run(self, trials: _Rows, last: Sequence[int], written: Sequence[int]) -> Tensor:
        """Run the rows and return the logits."""
        if self.visits is None:
            goes_on = self.prefix.encoded.span_stop is None
            # the span that goes on is the last one
            weights = None if self.weights is None else self.weights[list(trials)][:, -1:]
            self.visits = self.injector.visits(trials, slice(0, 1), weights=weights) if goes_on else {}
        arguments = aimed(self.tap, self.prefix, self.cache, last, written)
        logits: Tensor = self.tap.run(self.visits, n_loops=self.prefix.n_loops, **arguments).logits[:, -1]
        return logits

    def close(self) -> None:
        """Leave the model as it is: each trace has undone itself."""


def aimed(tap: Tap, prefix: Prefix, cache: RowCache, last: Sequence[int], written: Sequence[int]) -> dict[str, Any]:
    """Aim the cache at the rows and return the arguments of a forward over the token drawn last in each."""
    cache.aim(0, [prefix.length + n for n in written], 1)
    positions = [len(prefix.encoded.token_ids) + n for n in written]
    return inputs(tap, [[token] for token in last], positions, cache) | prefix.exit_arguments


class StepError(RuntimeError):
    """A step from buffers that did not give what the same step through nnsight gives."""


class Checks:
    """Says which steps from buffers are held against nnsight: the first one, and every so many after it."""

    def __init__(self, every: int = 128) -> None:
        self.every, self.steps = every, 0

    def due(self) -> bool:
        """Count one more step, and say whether it is to be checked."""
        self.steps += 1
        return (self.steps - 1) % self.every == 0

    def compare(self, logits: Tensor, traced: Tensor) -> None:
        """Raise StepError where logits `(rows, vocabulary)` are further apart than rounding explains.

        That is the square root of the number format's last digit, in proportion to the largest logit; float32's at
        the least, in which transformers turns positions into angles whatever the format. What is finite in one must be
        so in the other.
        """
        here, there = logits.isfinite(), traced.isfinite()
        differing = torch.where(here & there, (logits - traced).abs(), torch.where(here == there, 0.0, torch.inf))
        apart, size = differing.amax().item(), traced.abs().where(there, 0.0).amax().item()
        digit = max(torch.finfo(logits.dtype).eps, torch.finfo(torch.float32).eps)
        if apart > digit**0.5 * max(size, 1.0):
            raise StepError(
                f"a step from buffers and the same step through nnsight differ by {apart:.3g}, with logits up to "
                f"{size:.3g}; --engine nnsight runs all steps through nnsight"
            )


class GraphStep:
    """Steps of a bare copy of the model, without a trace: buffers in, logits out.

    With a frame the step is captured once and played; where few rows are left it is run as it stands.
    """

    def __init__(
        self,
        tap: Tap,
        prefix: Prefix,
        cache: RowCache,
        injector: Injector,
        weights: Tensor | None,
        *,
        checks: Checks,
        frame: Frame | None = None,
    ) -> None:
        self.tap, self.prefix, self.cache, self.injector, self.weights = tap, prefix, cache, injector, weights
        self.checks, self.frame = checks, frame
        self.traced = TracedStep(tap, prefix, cache, injector, weights)
        self.sites, looped = tap.looped.sites(prefix.n_loops), tap.looped
        used = injector.sites if prefix.encoded.span_stop is None else []
        if frame is None:
            self.additions, model = Additions(looped, tap.bare, used, prefix.n_loops, cache.rows), tap.bare
        else:
            self.additions, model = frame.additions, frame.model
        self.places = [self.additions.sites.index(site) for site in used]
        self.model = partial(model, **looped.forward_arguments(prefix.n_loops))

    def admit(self, first: int, trials: _Rows) -> None:
        """Fill the buffers of the rows from `first` on."""
        self.traced.admit(first, trials)
        if self.places and trials:
            rows = slice(first, first + len(trials))
            last = None if self.weights is None else self.weights[list(trials)][:, -1:]
            for place, vectors, nonzero in zip(self.places, *self.injector.laid_out(trials, last), strict=True):
                self.additions.added[place, rows], self.additions.there[place, rows] = vectors, nonzero
            self.additions.unchanged[rows] = False  # a captured step runs rows that are empty, too

    def leave(self, before: _Rows, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Tell of whom the guards have seen something, and move the buffers."""
        self.traced.leave(before, sources, targets)
        self.injector.found_faint(before, self.additions.unchanged[: len(before)])
        self.additions.unchanged.zero_()
        self.additions.move(sources, targets)

    def run(self, trials: _Rows, last: Sequence[int], written: Sequence[int]) -> Tensor:
        """Run the rows and return the logits."""
        traced = self.traced.run(trials, last, written) if self.checks.due() else None
        self.tap.count(len(trials), self.sites)
        logits = self._logits(last, written)
        if traced is not None:
            self.checks.compare(logits, traced)
        return logits

    def close(self) -> None:
        """Take the additions off the copy of the model; a frame keeps its own."""
        if self.frame is None:
            self.additions.remove()

    def _logits(self, last: Sequence[int], written: Sequence[int]) -> Tensor:
        if self.frame is not None and len(last) * _FEW > self.frame.rows:
            return self.frame.step(last, [self.prefix.length + n for n in written])
        n, idle = len(last), max(0, min(LEAST_ROWS, self.cache.rows) - len(last))  # rows that no trial stands in
        all_last, all_written = ([*each, *[each[0]] * idle] for each in (last, written))
        arguments = aimed(self.tap, self.prefix, self.cache, all_last, all_written)
        self.additions.begin()
        logits: Tensor = self.model(**arguments).logits[:n, -1]
        self.additions.end()
        return logits


class Steps:
    """Makes the steps of one engine."""

    def __init__(self, tap: Tap, name: EngineName = "auto") -> None:
        self._tap, self.name = tap, engine_of(tap.looped, name)
        self.checks = Checks()
        self._frames = Frames(tap, self.name) if ":" in self.name else None

    def begin(
        self, prefix: Prefix, injector: Injector, weights: Tensor | None, *, rows: int, new_tokens: int
    ) -> tuple[RowCache, _Step]:
        """Return the cache and the step for trials of one prompt, of which so many stand side by side."""
        frame = None if self._frames is None else self._frames.of(prefix, rows, new_tokens)
        cache = prefix.cache(rows, new_tokens) if frame is None else frame.cache
        if self.name == "nnsight":
            return cache, TracedStep(self._tap, prefix, cache, injector, weights)
        step = GraphStep(self._tap, prefix, cache, injector, weights, checks=self.checks, frame=frame)
        return cache, step


def engine_of(looped: LoopedModel, name: EngineName) -> EngineName:
    """Return how the steps of a model are run; `auto` is decided. Raises InputError for what cannot be."""
    one_of(name, ENGINES, kind="engine")
    check_engine(name, looped.device.type)
    if looped.copies:
        return "graph" if name == "auto" else name
    if name in ("auto", "nnsight"):
        return "nnsight"
    raise InputError(f"engine {name!r}: model {looped.name!r} is run by its own code, which cannot be copied")
