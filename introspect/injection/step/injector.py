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

from introspect.injection.prefix.prefix import residual_norms
from introspect.models.tap import Visit
from introspect.records.trial import Site


@dataclass(frozen=True)
class _Planned:
    """What is added at one site, whoever is in a row just now."""

    trials: tuple[int, ...]
    vectors: Tensor
    """`(trial, 1, d_model)` in the model's number format."""
    nonzero: Tensor
    """`(trial,)`: whether there is anything to add."""


@dataclass(frozen=True)
class Addition:
    """What is added at one site to the rows as they stand, in `k` of them."""

    rows: Tensor
    trials: Tensor
    vectors: Tensor
    """`(k, position or 1, d_model)`."""
    nonzero: Tensor
    """`(k, position or 1)`: where there is anything to add."""


class Injector:
    """Adds to the rows of a batch; made from each trial's vectors by site, which are `(d_model,)` in float64."""

    def __init__(self, planned: Sequence[Mapping[Site, Tensor]], dtype: torch.dtype, device: torch.device) -> None:
        self.first = [min(vectors, default=None) for vectors in planned]
        """The first site of each trial; None without any."""
        self.device, self._dtype, self._pushes = device, dtype, planned
        sites = sorted({site for vectors in planned for site in vectors})
        self._planned = {site: _planned(planned, site, dtype, device) for site in sites}
        wide = torch.promote_types(dtype, torch.float32)
        self._faint = torch.zeros(len(planned), dtype=torch.bool, device=device)
        measured = {site: torch.zeros(2, len(planned), dtype=wide, device=device) for site in sites}
        self._measured: dict[Site, Tensor] = measured
        """By site, the mean norms of the residual stream and of what was added, `(2, trial)`; 0 where it has no such
        site. They are set and not summed up, since a visit may be paid again as a text grows."""
        self._sites = [len(vectors) for vectors in planned]

    def visits(
        self, trials: Sequence[int], columns: slice, *, weights: Tensor | None = None, measure: bool = False
    ) -> dict[Site, Visit]:
        """Return the visits that add at these positions to rows in which these trials are; `measure` takes the norms.

        `weights`, `(row, position)`, multiplies what is added at each position; 0 leaves it as it is.
        """
        row = {trial: index for index, trial in enumerate(trials)}
        visits: dict[Site, Visit] = {}
        for site, planned in self._planned.items():
            there = [index for index, trial in enumerate(planned.trials) if trial in row]
            if there:
                addition = self._addition(planned, there, row, weights)
                visits[site] = partial(self._visit, site, addition, columns, measure=measure)
        return visits

    def of(self, trials: Sequence[int]) -> "Injector":
        """Return an injector whose rows add what these trials do, the same one as often as it is named."""
        return Injector([self._pushes[trial] for trial in trials], self._dtype, self.device)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Return all sites at which some trial adds something, in running order."""
        return tuple(self._planned)

    def laid_out(self, trials: Sequence[int], weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what is added at all `sites` to rows in which these trials are, and where that is anything.

        They are `(site, row, 1, d_model)`, zero where a trial has no such site, and `(site, row)`. `weights`,
        `(row, 1)`, multiplies what is added.
        """
        row = {trial: index for index, trial in enumerate(trials)}
        vectors, nonzero = [], []
        for planned in self._planned.values():
            there = [index for index, trial in enumerate(planned.trials) if trial in row]
            added = planned.vectors.new_zeros(len(trials), *planned.vectors.shape[1:])
            some = planned.nonzero.new_zeros(len(trials))
            if there:
                addition = self._addition(planned, there, row, weights)
                added[addition.rows] = addition.vectors
                some[addition.rows] = addition.nonzero[:, 0]
            vectors.append(added)
            nonzero.append(some)
        return torch.stack(vectors), torch.stack(nonzero)

    def found_faint(self, trials: Sequence[int], unchanged: Tensor) -> None:
        """Take note that what was added to some of these trials, `(trial,)`, left a position as it was."""
        self._faint[torch.tensor(trials, device=self.device)] |= unchanged

    def faint(self) -> list[bool]:
        """Tell for each trial whether a vector that is not zero left some planned position as it was."""
        faint: list[bool] = self._faint.tolist()
        return faint

    def norms(self) -> list[tuple[float | None, float | None]]:
        """Return for each trial the mean norms of what was added and of the residual stream; None without sites."""
        residual, added = sum(self._measured.values(), start=torch.zeros(2, len(self._sites), device=self.device))
        sums = zip(added.tolist(), residual.tolist(), self._sites, strict=True)
        return [(added / n, residual / n) if n else (None, None) for added, residual, n in sums]

    def _addition(
        self, planned: _Planned, there: list[int], row: Mapping[int, int], weights: Tensor | None
    ) -> Addition:
        trials = [planned.trials[index] for index in there]
        kept = torch.tensor(there, device=self.device)
        rows = torch.tensor([row[trial] for trial in trials], device=self.device)
        vectors, nonzero = planned.vectors[kept], planned.nonzero[kept][:, None]
        if weights is not None:
            vectors = (vectors * weights[rows][:, :, None]).to(vectors.dtype)
            nonzero = nonzero & (weights[rows] != 0)
        return Addition(rows, torch.tensor(trials, device=self.device), vectors, nonzero)

    def _visit(self, site: Site, addition: Addition, columns: slice, h: Tensor, *, measure: bool) -> None:
        before = h[addition.rows, columns]  # a copy, (k, positions, d_model)
        h[addition.rows, columns] = before + addition.vectors
        unchanged = (h[addition.rows, columns] == before).all(-1)
        self._faint[addition.trials] |= (unchanged & addition.nonzero).any(-1)
        if measure:
            added = residual_norms(addition.vectors)
            self._measured[site][0, addition.trials] = _mean(residual_norms(before), where=added)
            self._measured[site][1, addition.trials] = _mean(added, where=added)


def _mean(norms: Tensor, where: Tensor) -> Tensor:
    """Average over the positions at which something is added, over all where that is the same for all: `(k,)`."""
    if where.shape[1] == 1:
        return norms.mean(-1)
    counted = (where > 0) | (where == 0).all(-1, keepdim=True)
    return (norms * counted).sum(-1) / counted.sum(-1)


def _planned(
    planned: Sequence[Mapping[Site, Tensor]], site: Site, dtype: torch.dtype, device: torch.device
) -> _Planned:
    trials = tuple(trial for trial, vectors in enumerate(planned) if site in vectors)
    vectors = torch.stack([planned[trial][site] for trial in trials])
    return _Planned(trials, vectors[:, None].to(dtype).to(device), nonzero=(vectors != 0).any(-1).to(device))
