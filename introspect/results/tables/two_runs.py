"""Two runs side by side. Takes their trials as `narrow_trials` returns them, returns one row per rate and contrast.

A row compares what both runs have: the same question in the same words, arm, place and measure. Paired rows rest on the
concepts of both runs alone; the others take each run's own. The contrast is read from `effects_by_concept`, so that its
definition is that of contrasts.csv.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from introspect.records.trial import NOT_INJECTED
from introspect.results.statistics.clusters import MIN_CONCEPTS
from introspect.results.statistics.intervals import unknown_share
from introspect.results.statistics.two_samples import Change, TwoCounts, change_of_means, change_of_rates
from introspect.results.store.queries import MEASURES, VERDICTS
from introspect.results.tables.effects.wording_effects import effects_by_concept
from introspect.results.tables.rates.capability import unable
from introspect.results.tables.rates.cell_columns import PLACE, place_columns
from introspect.results.tables.rates.rates import belongs_to
from introspect.results.tables.trials.fluency import COLUMN

_SIDES = ("a", "b")
"""What the columns of each run begin with."""
PAIRED, UNPAIRED = "paired", "unpaired"
NO_DIFFERENCE = "one of the runs has nothing to count"
CANNOT = "a run cannot answer such questions"


RowOf = Callable[[pd.DataFrame, pd.DataFrame], dict[str, object]]


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    trials: pd.DataFrame
    capability: pd.DataFrame
    """Its table of that name: what the model cannot answer with nothing injected is no finding. It may be empty."""


def compared(first: Side, second: Side, *, grader: str) -> pd.DataFrame:
    """Return rates over all cells and in every cell that both runs have, and the contrasts, the second minus the first.

    Columns: template, question, arm, those of a place (empty: over all cells of each run), measure, unit; of each run
    its value, interval, `n` (verdicts, or concepts of a contrast), `unknown` (share of the answers without a verdict)
    and concepts; difference, low, high, `pairing` and a note. A run-wide row mixes the cells of each run as they are.
    """
    sides = (first, second)
    place = _place(sides)
    counts = [_counts(side, grader, place) for side in sides]
    effects = [_effects(side.trials, place) for side in sides]
    rows = [*_rows(effects, ["template", *place, "measure"], _means), *_rows(counts, _keys(place), _rates)]
    columns = ["question", "template", "arm", *place, "measure", "unit"]
    table = pd.DataFrame(rows)
    return table.reindex(columns=[*columns, *(name for name in table if name not in columns)])


def shared_concepts(first: pd.Series, second: pd.Series) -> tuple[list[str], bool]:
    """Return the concepts of both, and whether these are enough to pair on."""
    both = sorted({*first} & {*second})
    return both, len(both) >= MIN_CONCEPTS


def _place(sides: Sequence[Side]) -> list[str]:
    """Name loop, layer and strength, and what varies within these in either run."""
    injected = [side.trials[~side.trials["arm"].isin(NOT_INJECTED)] for side in sides]
    varying = [name for trials in injected for name in place_columns(trials, without=("template",))]
    return list(dict.fromkeys([*PLACE, *varying]))


def _keys(place: Sequence[str]) -> list[str]:
    return ["question", "template", "arm", *place, "measure"]


def _counts(side: Side, grader: str, place: list[str]) -> pd.DataFrame:
    """Count the verdicts by concept, over all cells and in each."""
    trials = side.trials[side.trials["state"] == "done"].rename(columns={f"{grader}_{one}": one for one in VERDICTS})
    trials = trials.assign(
        both=trials["detected"] & trials["identified"], unable=unable(trials, side.capability, grader)
    )
    asked = [trials.assign(measure=one, verdict=trials[one]) for one in MEASURES if one != COLUMN]
    asked = [each[belongs_to(each["question"], each["measure"].iloc[0])] for each in asked if len(each)]
    long = pd.concat(asked, ignore_index=True) if asked else pd.DataFrame()
    if long.empty:
        return long
    placed = long[~long["arm"].isin(NOT_INJECTED)]
    parts = [_summed(long, [*_keys(()), "concept"]), _summed(placed, [*_keys(place), "concept"])]
    found = pd.concat([part for part in parts if not part.empty], ignore_index=True)
    return found.reindex(columns=[*_keys(place), "concept", *_COUNTED])


_COUNTED = ["k", "n", "all", "unable"]


def _summed(long: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    counted = long.assign(
        k=long["verdict"].fillna(False).astype(float), n=long["verdict"].notna().astype(float), all=1.0
    )
    sums = counted.groupby(keys, dropna=False).agg(
        k=("k", "sum"), n=("n", "sum"), all=("all", "sum"), unable=("unable", "any")
    )
    return sums.reset_index()


def _effects(trials: pd.DataFrame, place: list[str]) -> pd.DataFrame:
    found = effects_by_concept(trials)
    return (
        found
        if found.empty
        else found.rename(columns={"effect": "measure"}).reindex(
            columns=["template", *place, "measure", "concept", "value"]
        )
    )


def _rows(frames: Sequence[pd.DataFrame], keys: list[str], row_of: RowOf) -> Iterator[dict[str, object]]:
    """Yield a row for every group that both frames have, in the order of the first."""
    if any(frame.empty for frame in frames):
        return
    groups = [{_hashable(key): part for key, part in frame.groupby(keys, dropna=False, sort=False)} for frame in frames]
    for key, part in groups[0].items():
        if key in groups[1]:
            yield {**dict(zip(keys, key, strict=True)), **row_of(part, groups[1][key])}


def _hashable(key: tuple[object, ...]) -> tuple[object, ...]:
    """Write what is missing as None, which equals itself."""
    return tuple(None if _is_missing(each) else each for each in key)


def _is_missing(value: object) -> bool:
    """Tell whether a value is None, NaN or NA."""
    return value is None or value is pd.NA or value != value


def _rates(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, object]:
    known = [part[part["n"] > 0].set_index("concept") for part in (first, second)]
    both, paired = shared_concepts(known[0].index.to_series(), known[1].index.to_series())
    used = [part.loc[both] if paired else part for part in known]
    change = change_of_rates(*(TwoCounts(part["k"].to_numpy(), part["n"].to_numpy()) for part in used), paired=paired)
    alike = [part[part["concept"].isin(both)] if paired else part for part in (first, second)]
    unknown = [float(unknown_share(part["n"].sum(), (part["all"] - part["n"]).sum())) for part in alike]
    unable = any(part["unable"].any() for part in (first, second))
    return _row("share", change, [int(part["n"].sum()) for part in used], unknown, used, paired, unable)


def _means(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, object]:
    known = [part.dropna(subset="value").set_index("concept") for part in (first, second)]
    both, paired = shared_concepts(known[0].index.to_series(), known[1].index.to_series())
    used = [part.loc[both] if paired else part for part in known]
    change = change_of_means(*(part["value"].to_numpy(dtype=float) for part in used), paired=paired)
    missing = [1 - len(there) / len(part) for there, part in zip(known, (first, second), strict=True)]
    return _row("logits", change, [len(part) for part in used], missing, used, paired, False)


def _row(
    unit: str,
    change: Change,
    n: Sequence[int],
    unknown: Sequence[float],
    used: Sequence[pd.DataFrame],
    paired: bool,
    unable: bool,
) -> dict[str, object]:
    row: dict[str, object] = {"unit": unit}
    for place, side in enumerate(_SIDES):
        bounded = (change.first, change.second)[place]
        row |= {side: bounded.value, f"{side}_low": bounded.low, f"{side}_high": bounded.high}
        row |= {f"{side}_n": n[place], f"{side}_unknown": unknown[place], f"{side}_concepts": len(used[place])}
    if unable:
        row |= {name: np.nan for side in _SIDES for name in (side, f"{side}_low", f"{side}_high")}
    value, low, high = (np.nan,) * 3 if unable else change.difference
    note = CANNOT if unable else NO_DIFFERENCE if np.isnan(value) else None
    return {
        **row,
        "difference": value,
        "low": low,
        "high": high,
        "pairing": PAIRED if paired else UNPAIRED,
        "note": note,
    }
