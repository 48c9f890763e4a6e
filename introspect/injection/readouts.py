"""What a forward says after every loop: the states in which its loops end, and their logits at the last position.

Goes in: a model and the number of loops. Come out: visits that keep the ends, and, once they were paid, the logits.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from torch import Tensor
from transformers.cache_utils import Cache

from introspect.models.looped import LoopedModel
from introspect.models.tap import Visit
from introspect.records import Site


class Ends:
    """The ends of the loops of one forward."""

    def __init__(self, looped: LoopedModel, n_loops: int) -> None:
        self.looped, self.n_loops = looped, n_loops
        self.states: dict[int, Tensor] = {}
        """By loop, `(row, position, d_model)`; the last position alone where the read-out needs no other."""

    def watching(self, visits: Mapping[Site, Visit], sites: Sequence[Site]) -> dict[Site, Visit]:
        """Keep, behind what the visits do, the states in which loops end, of the sites that are run."""
        ends = [site for site in sites if site.stage == "core" and site.layer == self.looped.n_layers - 1]
        return {**visits, **{site: partial(self._keep, site.loop, visits.get(site)) for site in ends}}

    def logits(self, first: int, cache: Cache, positions: Tensor, final: Tensor) -> list[Tensor]:
        """Give the logits `(row, vocabulary)` after each loop from `first` on; behind the last one they are `final`."""
        said = []
        for loop in range(first, self.n_loops - 1):
            at = self.states[loop].shape[1]
            logits = self.looped.readout(
                self.states[loop],
                loop=loop,
                n_loops=self.n_loops,
                past_key_values=cache,
                position_ids=positions[:, -at:],
            )
            said.append(logits[:, -1])
        return [*said, final]

    def _keep(self, loop: int, first: Visit | None, h: Tensor) -> None:
        if first is not None:
            first(h)
        self.states[loop] = (h if self.looped.coda else h[:, -1:]).clone()
