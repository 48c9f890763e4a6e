"""The additions of one batch, as few tensor operations a site as there are sites, and a watch over what they did.

    h[row, position] += vector[row]        for the rows that have the site, at the positions of the span

Goes in: the trials and the vectors of each. Come out: visits for the tap, and per trial the norms and whether every
planned position did change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from introspect.injection.prefix import residual_norms
from introspect.models.tap import Visit
from introspect.records import Site


@dataclass(frozen=True)
class Addition:
    """What is added at one site."""

    rows: Tensor
    """Rows of the batch as it stands, `(k,)`, each once."""
    trials: Tensor
    """Which trials these are, `(k,)`; unlike rows, trials keep their numbers when others leave the batch."""
    vectors: Tensor
    """`(k, 1, d_model)` in the model's number format."""
    nonzero: Tensor
    """`(k,)`: whether there is anything to add."""


class Injector:
    """Adds to the rows of a batch; made from each trial's vectors by site, which are `(d_model,)` in float64."""

    def __init__(self, planned: Sequence[Mapping[Site, Tensor]], dtype: torch.dtype, device: torch.device) -> None:
        self.additions = {
            site: _addition(planned, site, dtype, device) for site in sorted({site for row in planned for site in row})
        }
        wide = torch.promote_types(dtype, torch.float32)
        self._faint = torch.zeros(len(planned), dtype=torch.bool, device=device)
        self._residual, self._added = torch.zeros(2, len(planned), dtype=wide, device=device)
        self._sites = [len(row) for row in planned]

    def visits(self, columns: slice, *, measure: bool = False) -> dict[Site, Visit]:
        """Give the visits that add at these positions of a forward; `measure` also takes the norms."""
        return {
            site: partial(self._visit, addition, columns, measure=measure) for site, addition in self.additions.items()
        }

    def keep(self, rows: Tensor, batch: int) -> None:
        """Follow a batch of `batch` rows of which only `rows` stay, in this order."""
        place = torch.full((batch,), -1, device=rows.device)
        place[rows] = torch.arange(len(rows), device=rows.device)
        moved = {site: replace(addition, rows=place[addition.rows]) for site, addition in self.additions.items()}
        self.additions = {site: _select(one, one.rows >= 0) for site, one in moved.items() if (one.rows >= 0).any()}

    def faint(self) -> list[bool]:
        """Tell for each trial whether a vector that is not zero left some planned position as it was."""
        faint: list[bool] = self._faint.tolist()
        return faint

    def norms(self) -> list[tuple[float | None, float | None]]:
        """Give for each trial the mean norms of what was added and of the residual stream; None without sites."""
        sums = zip(self._added.tolist(), self._residual.tolist(), self._sites, strict=True)
        return [(added / n, residual / n) if n else (None, None) for added, residual, n in sums]

    def _visit(self, addition: Addition, columns: slice, h: Tensor, *, measure: bool) -> None:
        before = h[addition.rows, columns]  # a copy, (k, positions, d_model)
        h[addition.rows, columns] = before + addition.vectors
        unchanged = (h[addition.rows, columns] == before).all(-1).any(-1)
        self._faint[addition.trials] |= unchanged & addition.nonzero
        if measure:
            self._residual[addition.trials] += residual_norms(before).mean(-1)
            self._added[addition.trials] += residual_norms(addition.vectors)[:, 0]


def _addition(
    planned: Sequence[Mapping[Site, Tensor]], site: Site, dtype: torch.dtype, device: torch.device
) -> Addition:
    rows = [row for row, vectors in enumerate(planned) if site in vectors]
    vectors = torch.stack([planned[row][site] for row in rows])
    where = torch.tensor(rows, device=device)
    return Addition(where, where, vectors[:, None].to(dtype).to(device), nonzero=(vectors != 0).any(-1).to(device))


def _select(addition: Addition, kept: Tensor) -> Addition:
    return Addition(*(x[kept] for x in (addition.rows, addition.trials, addition.vectors, addition.nonzero)))
