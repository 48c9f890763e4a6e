"""What is added to the rows of a step, in buffers that stay where they are; only their contents change.

    h[row] += added[site, row]        at every site that has a buffer, zero where a row adds nothing

Goes in: a bare copy of a model and the sites. The buffers hang at its blocks until they are removed.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from introspect.models.looped_model import LoopedModel, SiteError
from introspect.records.trial import Site


class Additions:
    """The buffers of all rows, and the guards over what they do.

    Every output to which something is added is compared with what it was, so that an addition without effect is seen
    in `unchanged`; and every site must be visited once in each forward.
    """

    def __init__(self, looped: LoopedModel, bare: Any, sites: Sequence[Site], n_loops: int, rows: int) -> None:
        self.sites = tuple(sites)
        self.added = torch.zeros(len(sites), rows, 1, looped.d_model, dtype=looped.dtype, device=looped.device)
        self.there = torch.zeros(len(sites), rows, dtype=torch.bool, device=looped.device)
        """Where something is added that is not zero."""
        self.unchanged = torch.zeros(rows, dtype=torch.bool, device=looped.device)
        """Rows to which something was added at some site and step that left the state as it was."""
        paths = {module: path for path, module in looped.model.named_modules()}
        located = [(paths[block], call) for block, call in (looped.locate(site, n_loops) for site in sites)]
        self._at = {at: place for place, at in enumerate(located)}
        self._calls: dict[str, int] = {}
        self._visited: list[int] = []
        """The places in `sites` at which this forward has added, in running order."""
        self._handles = [
            bare.get_submodule(path).register_forward_hook(partial(self._add, path))
            for path in dict.fromkeys(path for path, _ in located)
        ]

    def begin(self) -> None:
        """Begin a forward: calls are counted from here."""
        self._calls.clear()
        self._visited.clear()

    def end(self) -> None:
        """Raise SiteError if not every site was visited exactly once, in running order."""
        if self._visited != list(range(len(self.sites))):
            visited = ", ".join(str(self.sites[place]) for place in self._visited) or "none"
            raise SiteError(f"planned sites {', '.join(map(str, self.sites))}; visited {visited}")

    def clear(self) -> None:
        """Add nothing to any row."""
        for buffer in (self.added, self.there, self.unchanged):
            buffer.zero_()

    def move(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Add to other rows what is added to some now."""
        if sources and self.sites:
            source, target = (torch.tensor(rows, device=self.added.device) for rows in (sources, targets))
            for buffer in (self.added, self.there):
                buffer[:, target] = buffer[:, source]

    def remove(self) -> None:
        """Take everything off the model."""
        for handle in self._handles:
            handle.remove()

    def _add(self, path: str, _: nn.Module, __: object, h: Tensor) -> Tensor | None:
        call = self._calls.get(path, 0)
        self._calls[path] = call + 1
        place = self._at.get((path, call))
        if place is None:
            return None
        self._visited.append(place)
        rows = h.shape[0]
        changed = h + self.added[place, :rows]
        still = (changed == h).flatten(1).all(-1) & self.there[place, :rows]
        self.unchanged[:rows].logical_or_(still)
        return changed
