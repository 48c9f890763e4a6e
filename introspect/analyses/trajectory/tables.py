"""Tables of what was measured: means over concepts with 95% intervals, a row a cell and site.

Goes in: numbers by trial and site. Come out: tidy frames. A concept counts once, with the mean of its trials.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from introspect.analyses.trajectory.lenses import WORDS, readable
from introspect.analyses.trajectory.measure import METRICS, QUANTITIES, MeasuredPaths
from introspect.records.trial import Site
from introspect.results.statistics import wilson

_CELL = ("arm", "sites", "strength")
"""What trials of one cell have in common; they differ in concept and repeat."""

_Floats = NDArray[np.float64]


def differences(found: MeasuredPaths) -> pd.DataFrame:
    """Return the mean difference between trial and control, by quantity, metric, cell and site."""
    keys = [(quantity, metric) for metric in METRICS for quantity in QUANTITIES]
    parts = []
    for key in keys:
        for cell, rows in cells(found.trials):
            mean = _means(found.difference(*key)[rows], found.trials["concept"].iloc[rows])
            control = mean_by_concept(found.control[key][rows], found.trials["concept"].iloc[rows])
            parts.append(_at(found.sites, {"quantity": key[0], "metric": key[1], **cell}, {**mean, "control": control}))
    return pd.concat(parts, ignore_index=True)


def totals(found: MeasuredPaths) -> pd.DataFrame:
    """Return the same for whole paths: length, mean curvature, area; and how alike the profiles of the two are.

    `profile_r` is Pearson's correlation, over sites, of the quantity in the trial and in its control.
    """
    rows_of: list[dict[str, object]] = []
    for metric in METRICS:
        for quantity in QUANTITIES:
            trial, control = (side[quantity, metric] for side in (found.injected, found.control))
            whole = np.nanmean if quantity == "curvature" else np.nansum
            ends, alike = [whole(each, axis=1) for each in (trial, control)], _correlations(trial, control)
            for cell, rows in cells(found.trials):
                concepts = found.trials["concept"].iloc[rows]
                mean = _single(_means((ends[0] - ends[1])[rows, None], concepts))
                like = _single(_means(alike[rows, None], concepts))
                said = {f"profile_r{end}": like[name] for end, name in _NAMES.items()}
                base = float(mean_by_concept(ends[1][rows, None], concepts)[0])
                rows_of.append({"quantity": quantity, "metric": metric, **cell, **mean, "control": base, **said})
    return pd.DataFrame(rows_of)


_NAMES = {"": "mean", "_low": "low", "_high": "high"}


def readout_table(found: MeasuredPaths) -> pd.DataFrame:
    """Return probability (mean difference, and in the control) and median rank of each word, by lens, cell and site."""
    parts = []
    for lens in lenses(found):
        for word in WORDS:
            for cell, rows in cells(found.trials):
                concepts = found.trials["concept"].iloc[rows]
                mean = _means(found.difference(lens, word, "p")[rows], concepts)
                sides = {"rank": found.injected, "control_rank": found.control}
                ranks = {name: _median(side[lens, word, "rank"][rows]) for name, side in sides.items()}
                control = mean_by_concept(found.control[lens, word, "p"][rows], concepts)
                parts.append(
                    _at(found.sites, {"lens": lens, "word": word, **cell}, {**mean, "control": control} | ranks)
                )
    return pd.concat(parts, ignore_index=True).dropna(subset=["mean"]).reset_index(drop=True)


def readable_rates(found: MeasuredPaths) -> pd.DataFrame:
    """Return the share of concepts that are readable at each site in the trial and not in its control."""
    parts = []
    for lens in lenses(found):
        there = readable(*(side[lens, "concept", "rank"] for side in (found.injected, found.control))).there
        for cell, rows in cells(found.trials):
            rates = mean_by_concept(there[rows].astype(float), found.trials["concept"].iloc[rows])
            n = found.trials["concept"].iloc[rows].nunique()
            parts.append(_at(found.sites, {"lens": lens, **cell}, rated(rates, n)))
    return pd.concat(parts, ignore_index=True)


def readings(found: MeasuredPaths) -> pd.DataFrame:
    """Give, a row a trial and lens, the site from which its concept is readable and that from which never again."""
    names = np.array([*map(str, found.sites), "never", None], dtype=object)
    count, parts = len(found.sites), []
    for lens in lenses(found):
        read = readable(*(side[lens, "concept", "rank"] for side in (found.injected, found.control)))
        first = np.where(read.first < 0, count + 1, read.first)
        lost = np.where(read.lost < 0, count + 1, read.lost)  # the number of sites stands for never
        parts.append(found.trials.assign(lens=lens, readable_from=names[first], lost_from=names[lost]))
    return pd.concat(parts, ignore_index=True)


def lenses(found: MeasuredPaths) -> list[str]:
    """Name the lenses that were read through."""
    return list(dict.fromkeys(key[0] for key in found.injected if len(key) == 3))


def cells(trials: pd.DataFrame) -> Iterator[tuple[dict[str, object], NDArray[np.int64]]]:
    """Yield each cell with the numbers of its rows, in the order of the trials."""
    for _, part in trials.reset_index(drop=True).groupby(list(_CELL), sort=False, dropna=False):
        yield {name: part[name].iloc[0] for name in _CELL}, part.index.to_numpy()


def mean_by_concept(values: _Floats, concepts: "pd.Series[str]") -> _Floats:
    """Average `(trial, site)` over concepts, each the mean of its trials; NaN where nothing is known: `(site,)`."""
    return np.asarray(_by_concept(values, concepts).mean())


def rated(rates: _Floats, n: int) -> dict[str, object]:
    """Return rates with Wilson intervals in which a concept counts once, by a t quantile over concepts."""
    low, high = wilson(rates * n, np.full(len(rates), n), freedom=max(n - 1, 1))
    return {"rate": rates, "low": low, "high": high, "n": n}


def _means(values: _Floats, concepts: "pd.Series[str]") -> dict[str, object]:
    """Return means over concepts and t intervals, `(site,)` each."""
    by_concept = _by_concept(values, concepts)
    n = by_concept.count().to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        half = by_concept.std().to_numpy() / np.sqrt(n) * stats.t.ppf(0.975, n - 1)
    mean = by_concept.mean().to_numpy()
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n}


def _by_concept(values: _Floats, concepts: "pd.Series[str]") -> pd.DataFrame:
    return pd.DataFrame(values).groupby(concepts.to_numpy()).mean()


def _at(sites: Sequence[Site], cell: dict[str, object], columns: dict[str, object]) -> pd.DataFrame:
    """Make a row a site, from lists and from what all rows have in common."""
    place = {
        "site": list(map(str, sites)),
        "stage": [site.stage for site in sites],
        "loop": pd.array([site.loop if site.stage == "core" else None for site in sites], dtype="Int64"),
        "layer": [site.layer for site in sites],
    }
    return pd.DataFrame({name: [value] * len(sites) for name, value in cell.items()} | place | columns)


def _single(columns: dict[str, object]) -> dict[str, float]:
    return {name: np.asarray(values).item() for name, values in columns.items()}


def _median(ranks: _Floats) -> _Floats:
    return np.asarray(pd.DataFrame(ranks).median())


def _correlations(one: _Floats, other: _Floats) -> _Floats:
    """Correlate rows over the sites at which both are known; NaN where one of them does not vary."""
    there = ~np.isnan(one) & ~np.isnan(other)
    one, other = (np.where(there, each, np.nan) for each in (one, other))
    one, other = (each - np.nanmean(each, axis=1, keepdims=True) for each in (one, other))
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.nansum(one * other, axis=1) / np.sqrt(np.nansum(one**2, axis=1) * np.nansum(other**2, axis=1))
        )
