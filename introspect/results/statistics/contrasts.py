"""The primary contrast. Takes a frame of trials, returns what injections move beyond plain questions, with tests.

Per cell, of logit(yes) - logit(no), a value per concept:

    effect of an arm = shift of the question about noticing - the line of plain questions at its clean logit
    contrast         = effect of the concept's vector - effect of a random vector of the same norm

A shift is a trial less its control without an injection. The line, its slope and its intercept are those of the arm
and cell; `plain_line` derives them, the values of concepts and their tests. A vector that raises yes on any question,
or pulls all logits towards 0, has an effect of 0, and a push that is noticed because of its size alone has a contrast
of 0. Both say how far an answer moved, not on which side of 0 it ended: that is its leaning, the mean of
logit(yes) - logit(no) itself under the concept's vector. Needs columns concept, arm, question, loop, layer, strength,
difference, and for the entropy of the line's table entropy.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from introspect.errors import InputError
from introspect.results.statistics.flips import FLIPS, sign_flips
from introspect.results.statistics.intervals import mean_interval
from introspect.results.statistics.plain_line import MOMENTS, PARTS, line_values, moments
from introspect.results.statistics.studentised import studentised

CELL = ("loop", "layer", "strength")
EFFECTS = ("injected", "random", "contrast")
"""The effect of the concept's vector, of random vectors, and the first minus the second."""


def concept_effects(
    trials: pd.DataFrame,
    *,
    cell: Sequence[str] = CELL,
    detect: str = "detect",
    unrelated: str = "unrelated",
    pairs: Sequence[str] = (),
    control: str = EFFECTS[1],
) -> pd.DataFrame:
    """Return one row per cell and concept with the columns injected, random and contrast; NaN where a part is missing.

    Another `control` than random has a column of its own name in its place.

    Controls without an injection may be shared by all cells: they are matched by concept and question, and by the
    columns `pairs`, such as the repeat and the text that is asked, where an arm's trial has a control of its own. One
    missing value or control makes the concept's effect missing in that cell. A value is that of a concept in the mean
    over all of them, since they share a line: it is not what its own trials alone would give.
    """
    asked = trials[trials["question"].isin([detect, unrelated])]
    _check(asked, detect, unrelated)
    arms = (EFFECTS[0], control)
    found = arm_effects(asked, arms=arms, cell=cell, detect=detect, unrelated=unrelated, pairs=pairs)
    effects = found["effect"].unstack("arm").reindex(columns=list(arms))
    effects.columns.name = None
    return effects.assign(contrast=effects[EFFECTS[0]] - effects[control]).reset_index()


def arm_effects(
    trials: pd.DataFrame,
    *,
    arms: Sequence[str],
    cell: Sequence[str] = CELL,
    detect: str = "detect",
    unrelated: str = "unrelated",
    pairs: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the effect of each arm, a column `effect` indexed by cell, arm and concept; NaN if a part is missing."""
    asked = trials[trials["question"].isin([detect, unrelated])]
    shifts = control_shifts(asked, list(cell), ["concept", "question", *pairs], arms)
    keys = [*cell, "arm", "concept"]
    means = _complete_means(shifts[shifts["question"] == detect], keys, ["control", "shift"])
    sums = plain_moments(shifts[shifts["question"] == unrelated], keys)
    return _by_concept(sums, means, [*cell, "arm"])[["effect"]]


def concept_lines(
    trials: pd.DataFrame,
    *,
    arms: Sequence[str],
    cell: Sequence[str] = CELL,
    unrelated: str = "unrelated",
    pairs: Sequence[str] = (),
) -> pd.DataFrame:
    """Return one row per cell, arm and concept with the columns intercept, slope and entropy of plain questions.

    Intercept and slope are pseudo-values as those of `concept_effects`; entropy is the mean change, in nats, of the
    entropy of the next-token distribution where the answer begins, against the control.
    """
    asked, keys = trials[trials["question"] == unrelated], [*cell, "arm", "concept"]
    unit = ["concept", "question", *pairs]
    shifts = control_shifts(asked, list(cell), unit, arms)
    sums = plain_moments(shifts, keys)
    nothing = pd.DataFrame(0.0, index=sums.index, columns=["control", "shift"])
    lines = _by_concept(sums, nothing, [*cell, "arm"])[["intercept", "slope"]]
    entropies = control_shifts(asked, list(cell), unit, arms, "entropy")
    return lines.join(_complete_means(entropies, keys, ["shift"])["shift"].rename("entropy")).reset_index()


def contrasts_table(
    effects: pd.DataFrame, *, cell: Sequence[str] = CELL, flips: int = FLIPS, seed: int = 0, confidence: float = 0.95
) -> pd.DataFrame:
    """Test every effect in every cell; `p_map` is corrected for looking at the whole map.

    Columns: those of the cell, effect, n (concepts), dropped (concepts with a missing part), mean, low, high (t
    interval over concepts), t, p, p_map (sign flips by concept), p_student, p_student_map (studentised bootstrap).
    """
    cells = effects[list(cell)].drop_duplicates().reset_index(drop=True)
    parts = []
    for effect in EFFECTS:
        values = _by_cell(effects, cells, effect)
        tests = sign_flips(values, flips=flips, seed=seed)
        columns = [column[np.isfinite(column)] for column in values.T]
        means = [mean_interval(column, confidence=confidence) for column in columns]
        part = cells.assign(effect=effect, n=[len(column) for column in columns])
        part["dropped"] = len(values) - part["n"]
        part[["mean", "low", "high"]] = np.array(means).reshape(len(cells), 3)
        drawn = studentised(values, seed=seed)
        both = {"p": tests.p, "p_map": tests.p_map, "p_student": drawn.p, "p_student_map": drawn.p_map}
        parts.append(part.assign(t=tests.t, **both))
    return pd.concat(parts, ignore_index=True)


def overall_contrasts(
    effects: pd.DataFrame, *, cell: Sequence[str] = CELL, flips: int = FLIPS, seed: int = 0, confidence: float = 0.95
) -> pd.DataFrame:
    """Test each effect once, averaged over all cells within a concept: nothing is selected, nothing to correct.

    A concept with an effect missing in any cell is dropped and counted. Columns as those of `contrasts_table`.
    """
    cells = effects[list(cell)].drop_duplicates().reset_index(drop=True)
    names = np.unique(effects["concept"])
    means = {effect: _by_cell(effects, cells, effect).mean(axis=1) for effect in EFFECTS}
    whole = pd.DataFrame({"concept": names, "map": "all", **means})
    table = contrasts_table(whole, cell=["map"], flips=flips, seed=seed, confidence=confidence)
    return table.drop(columns=["map", "p_map", "p_student_map"])


def leanings(
    trials: pd.DataFrame, *, cell: Sequence[str] = CELL, detect: str = "detect", confidence: float = 0.95
) -> pd.DataFrame:
    """Return logit(yes) - logit(no) itself on the detection question under the concept's vector, as effect `leaning`.

    The first row is over all cells, the cell's columns missing, then one a cell. Columns: those of the cell, effect, n
    (concepts), mean, low, high (t interval over concepts).
    """
    asked = trials[(trials["question"] == detect) & (trials["arm"] == "injected")]
    each = _complete_mean(asked, [*cell, "concept"], "difference").reset_index()
    groups = [({}, each), *((dict(zip(cell, place, strict=True)), part) for place, part in each.groupby(list(cell)))]
    rows = []
    for place, part in groups:
        values = _complete_mean(part, ["concept"], "difference").dropna().to_numpy(dtype=float)
        mean, low, high = mean_interval(values, confidence=confidence)
        rows.append({**place, "effect": "leaning", "n": len(values), "mean": mean, "low": low, "high": high})
    return pd.DataFrame(rows)


def _check(asked: pd.DataFrame, detect: str, unrelated: str) -> None:
    found = set(zip(asked["arm"], asked["question"], strict=True))
    for arm in ("injected", "none"):
        for question in (detect, unrelated):
            if (arm, question) not in found:
                raise InputError(f"the contrast needs trials of arm {arm!r} and question {question!r}; there are none")


def control_shifts(
    asked: pd.DataFrame, cell: list[str], unit: list[str], arms: Sequence[str], column: str = "difference"
) -> pd.DataFrame:
    """Return each unit's mean of a column as `shift` from that of its control, `control`; missing where either is."""
    controls = _complete_mean(asked[asked["arm"] == "none"], unit, column).rename("control").reset_index()
    keys = list(dict.fromkeys([*cell, "arm", *unit]))
    shown = _complete_mean(asked[asked["arm"].isin(arms)], keys, column).reset_index()
    joined = shown.merge(controls, on=unit, how="left", validate="many_to_one")
    return joined.assign(shift=joined[column] - joined["control"])


def plain_moments(shifts: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the sums over plain questions that least squares needs, columns MOMENTS; missing if one shift is."""
    each = moments(shifts["control"].to_numpy(dtype=float), shifts["shift"].to_numpy(dtype=float))
    frame = pd.concat([shifts[keys], pd.DataFrame(each, columns=list(MOMENTS), index=shifts.index)], axis=1)
    sums = frame.groupby(keys, dropna=False)[list(MOMENTS)]
    return sums.sum().where(sums.count().eq(sums.size(), axis=0))


def _by_concept(sums: pd.DataFrame, asked: pd.DataFrame, cell: list[str]) -> pd.DataFrame:
    """Return the parts of the line, PARTS, by cell and concept, from sums and means that are indexed by these."""
    both = sums.join(asked, how="outer")
    places = both.index.to_frame(index=False)
    rows = places.groupby(cell, dropna=False).ngroup().to_numpy()
    concepts, names = pd.factorize(places["concept"], sort=True)
    filled = np.full((rows.max(initial=-1) + 1, len(names), both.shape[1]), np.nan)
    filled[rows, concepts] = both.to_numpy(dtype=float)
    values = line_values(filled[..., : len(MOMENTS)], filled[..., len(MOMENTS) :])
    return pd.DataFrame(values[:, rows, concepts].T, columns=list(PARTS), index=both.index)


def _complete_means(frame: pd.DataFrame, keys: list[str], columns: list[str]) -> pd.DataFrame:
    """Return the means of groups; one missing value makes a mean missing."""
    values = frame.groupby(keys, dropna=False)[columns]
    return values.mean().where(values.count().eq(values.size(), axis=0))


def _complete_mean(frame: pd.DataFrame, keys: list[str], column: str) -> pd.Series:
    """Return the means of one column."""
    return _complete_means(frame, keys, [column])[column]


def _by_cell(effects: pd.DataFrame, cells: pd.DataFrame, effect: str) -> np.ndarray:
    """Arrange one effect as (concept, cell), concepts by name, NaN where there is none."""
    numbered = effects.merge(cells.assign(number=range(len(cells))), on=list(cells.columns), validate="many_to_one")
    concepts, names = pd.factorize(numbered["concept"], sort=True)
    values = np.full((len(names), len(cells)), np.nan)
    values[concepts, numbered["number"]] = numbered[effect].astype(float)
    return values
