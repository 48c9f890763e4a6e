"""What a forward says after every loop: the states in which its loops end, and their logits at the last position.

Goes in: a model and the number of loops. Come out: visits that keep the ends, and, once they were paid, the logits.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache

from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Visit
from introspect.records.trial import LAST, Site


class Ends:
    """The ends of the loops of one forward."""

    def __init__(self, looped: LoopedModel, n_loops: int, exit_: str = LAST) -> None:
        self.looped, self.n_loops, self.exit = looped, n_loops, exit_
        self.states: dict[int, Tensor] = {}
        """By loop, `(row, position, d_model)`; the last position alone where the read-out needs no other."""
        self._sums: tuple[Tensor, ...] = ()

    def watching(self, visits: Mapping[Site, Visit], sites: Sequence[Site]) -> dict[Site, Visit]:
        """Keep, behind what the visits do, the states in which loops end, of the sites that are run."""
        ends = [site for site in sites if site.stage == "core" and site.layer == self.looped.n_layers - 1]
        return {**visits, **{site: partial(self._keep, site.loop, visits.get(site)) for site in ends}}

    def ran(self, output: Any) -> None:  # Any: what the model's own forward gives
        """Take from the forward what a loop's end does not tell, where loops are summed; before `logits`."""
        if self.looped.summed:
            self._sums = tuple(state[:, -1:] for state in output.loop_states)

    def logits(self, first: int, cache: Cache, positions: Tensor, final: Tensor) -> list[Tensor]:
        """Return the logits `(row, vocabulary)` after each loop from `first` on.

        Behind the last loop they are `final`, the model's own, unless it leaves somewhere else.
        """
        said = [self._read(loop, cache, positions) for loop in range(first, self.n_loops - (self.exit == LAST))]
        return [*said, final] if self.exit == LAST else said

    def leaving(self, first: int) -> list[Tensor]:
        """Return the rate `(row,)` at which the gate leaves after each loop from `first` on.

        Empty without a gate, and where tokens are drawn of the last loop whatever a gate says.
        """
        if self.exit == LAST:
            return []
        rates = [self.looped.exit_rate(self.states[loop][:, -1]) for loop in range(first, self.n_loops)]
        return [rate for rate in rates if rate is not None]

    def _read(self, loop: int, cache: Cache, positions: Tensor) -> Tensor:
        if self.looped.summed:
            said: Tensor = self.looped.model.head(self._sums[loop])
            return said[:, -1]
        state = self.states[loop]
        behind = {"past_key_values": cache, "position_ids": positions[:, -state.shape[1] :]}
        return self.looped.readout(state, loop=loop, n_loops=self.n_loops, **behind)[:, -1]

    def _keep(self, loop: int, first: Visit | None, h: Tensor) -> None:
        if first is not None:
            first(h)
        self.states[loop] = (h if self.looped.coda else h[:, -1:]).clone()
