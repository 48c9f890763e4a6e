"""Engines that leave something out, to see what it costs: the clean pass behind the answers, or what is added as well.

Trials that add nothing write the same answer wherever the seed is the same, and the clean pass runs an answer once, so
that only an engine without it can be held against an empty plan.
"""

from collections.abc import Sequence

from torch import Tensor

from introspect.injection.engine.engine import Engine, PromptKey
from introspect.injection.engine.failures import Failure
from introspect.injection.step.injector import Injector
from introspect.models.tap import Visit
from introspect.records.response import Response
from introspect.records.trial import Site


class EngineWithoutCleanPass(Engine):
    """The engine as it is, but for the log-probability of its answers with nothing injected."""

    def _with_clean(self, key: PromptKey, results: Sequence[Response | Failure], rows: int) -> list[Response | Failure]:
        del key, rows
        return list(results)


class IdleEngine(EngineWithoutCleanPass):
    """The same with an empty plan."""

    def _injector(self, planned: Sequence[dict[Site, Tensor]]) -> Injector:
        return _IdleInjector(planned, self.tap.looped.dtype, self.tap.looped.device)


class _IdleInjector(Injector):
    """Plans as an Injector does and adds nothing: steps of the answer are left without a visit or a buffer."""

    @property
    def sites(self) -> tuple[Site, ...]:
        """Say that nothing is added behind the prompt."""
        return ()

    def visits(
        self, trials: Sequence[int], columns: slice, *, weights: Tensor | None = None, measure: bool = False
    ) -> dict[Site, Visit]:
        """Return visits that do nothing in the prompt, and none after it."""
        planned = super().visits(trials, columns, weights=weights, measure=measure) if measure else {}
        return dict.fromkeys(planned, _nothing)


def _nothing(h: Tensor) -> None:
    """Leave the residual stream as it is."""
