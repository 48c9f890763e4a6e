"""The additions of many trials, as few tensor operations a site as there are sites, and a watch over what they did.

    h[row, position] += vector[trial in that row]        for the rows that have the site, at the positions of the span

Goes in: the vectors of each trial, and again and again which trial is in which row. Come out: visits for the tap, and
per trial the norms and whether every planned position did change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from introspect.injection.prefix import residual_norms
from introspect.models.tap import Visit
from introspect.records import Site


@dataclass(frozen=True)
class Planned:
    """What is added at one site, whoever is in a row just now."""

    trials: tuple[int, ...]
    vectors: Tensor
    """`(trial, 1, d_model)` in the model's number format."""
    nonzero: Tensor
    """`(trial,)`: whether there is anything to add."""


@dataclass(frozen=True)
class Addition:
    """What is added at one site to the rows as they stand; all `(k, ...)`."""

    rows: Tensor
    trials: Tensor
    vectors: Tensor
    nonzero: Tensor


class Injector:
    """Adds to the rows of a batch; made from each trial's vectors by site, which are `(d_model,)` in float64."""

    def __init__(self, planned: Sequence[Mapping[Site, Tensor]], dtype: torch.dtype, device: torch.device) -> None:
        self.first = [min(vectors, default=None) for vectors in planned]
        """The first site of each trial; None without any."""
        self.device = device
        sites = sorted({site for vectors in planned for site in vectors})
        self._planned = {site: _planned(planned, site, dtype, device) for site in sites}
        wide = torch.promote_types(dtype, torch.float32)
        self._faint = torch.zeros(len(planned), dtype=torch.bool, device=device)
        self._residual, self._added = torch.zeros(2, len(planned), dtype=wide, device=device)
        self._sites = [len(vectors) for vectors in planned]

    def visits(self, trials: Sequence[int], columns: slice, *, measure: bool = False) -> dict[Site, Visit]:
        """Give the visits that add at these positions to rows in which these trials are; `measure` takes the norms."""
        row = {trial: index for index, trial in enumerate(trials)}
        visits: dict[Site, Visit] = {}
        for site, planned in self._planned.items():
            there = [index for index, trial in enumerate(planned.trials) if trial in row]
            if there:
                addition = self._addition(planned, there, row)
                visits[site] = partial(self._visit, addition, columns, measure=measure)
        return visits

    def faint(self) -> list[bool]:
        """Tell for each trial whether a vector that is not zero left some planned position as it was."""
        faint: list[bool] = self._faint.tolist()
        return faint

    def norms(self) -> list[tuple[float | None, float | None]]:
        """Give for each trial the mean norms of what was added and of the residual stream; None without sites."""
        sums = zip(self._added.tolist(), self._residual.tolist(), self._sites, strict=True)
        return [(added / n, residual / n) if n else (None, None) for added, residual, n in sums]

    def _addition(self, planned: Planned, there: list[int], row: Mapping[int, int]) -> Addition:
        trials = [planned.trials[index] for index in there]
        kept = torch.tensor(there, device=self.device)
        rows = torch.tensor([row[trial] for trial in trials], device=self.device)
        return Addition(rows, torch.tensor(trials, device=self.device), planned.vectors[kept], planned.nonzero[kept])

    def _visit(self, addition: Addition, columns: slice, h: Tensor, *, measure: bool) -> None:
        before = h[addition.rows, columns]  # a copy, (k, positions, d_model)
        h[addition.rows, columns] = before + addition.vectors
        unchanged = (h[addition.rows, columns] == before).all(-1).any(-1)
        self._faint[addition.trials] |= unchanged & addition.nonzero
        if measure:
            self._residual[addition.trials] += residual_norms(before).mean(-1)
            self._added[addition.trials] += residual_norms(addition.vectors)[:, 0]


def _planned(planned: Sequence[Mapping[Site, Tensor]], site: Site, dtype: torch.dtype, device: torch.device) -> Planned:
    trials = tuple(trial for trial, vectors in enumerate(planned) if site in vectors)
    vectors = torch.stack([planned[trial][site] for trial in trials])
    return Planned(trials, vectors[:, None].to(dtype).to(device), nonzero=(vectors != 0).any(-1).to(device))
