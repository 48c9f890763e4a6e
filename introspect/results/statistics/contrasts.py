"""The primary contrast. In goes a frame of trials, out come differences of differences with their tests.

Per concept and cell, of logit(yes) - logit(no):

    effect of an arm = (arm - none, on the detection question) - (arm - none, on unrelated questions)
    contrast         = effect of the concept's vector - effect of a random vector of the same norm

A vector that raises yes on any question has an effect of 0, and a push that is noticed because of its size alone has a
contrast of 0. Both say how far an answer moved, not on which side of 0 it ended: that is its leaning, the mean of
logit(yes) - logit(no) itself under the concept's vector. Needs columns concept, arm, question, loop, layer, strength,
difference.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from introspect.errors import InputError
from introspect.results.statistics.flips import FLIPS, sign_flips
from introspect.results.statistics.intervals import mean_interval

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
) -> pd.DataFrame:
    """Give one row a cell and concept with the columns injected, random and contrast; NaN where a part is missing.

    Controls without an injection may be shared by all cells: they are matched by concept and question, and by the
    columns `pairs`, say the template and the repeat, where an arm's trial has a control of its own. One missing value
    or control makes the concept's effect missing in that cell, since the rest would be another mix of questions.
    """
    asked = trials[trials["question"].isin([detect, unrelated])]
    _check(asked, detect, unrelated)
    shifts = _shifts(asked, list(cell), ["concept", "question", *pairs])
    means = _complete_means(shifts, [*cell, "concept", "arm", "question"], "shift")
    by_question = means.unstack("question").reindex(columns=[detect, unrelated])
    effects = (by_question[detect] - by_question[unrelated]).unstack("arm").reindex(columns=list(EFFECTS[:2]))
    effects.columns.name = None
    return effects.assign(contrast=effects["injected"] - effects["random"]).reset_index()


def contrasts_table(
    effects: pd.DataFrame, *, cell: Sequence[str] = CELL, flips: int = FLIPS, seed: int = 0, confidence: float = 0.95
) -> pd.DataFrame:
    """Test every effect in every cell; `p_map` is corrected for looking at the whole map.

    Columns: those of the cell, effect, n (concepts), dropped (concepts with a missing part), mean, low, high (t
    interval over concepts), t, p, p_map (sign flips by concept).
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
        parts.append(part.assign(t=tests.t, p=tests.p, p_map=tests.p_map))
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
    return table.drop(columns=["map", "p_map"])


def leanings(
    trials: pd.DataFrame, *, cell: Sequence[str] = CELL, detect: str = "detect", confidence: float = 0.95
) -> pd.DataFrame:
    """Give logit(yes) - logit(no) itself on the detection question under the concept's vector, as effect `leaning`.

    The first row is over all cells, the cell's columns missing, then one a cell. Columns: those of the cell, effect, n
    (concepts), mean, low, high (t interval over concepts).
    """
    asked = trials[(trials["question"] == detect) & (trials["arm"] == "injected")]
    each = _complete_means(asked, [*cell, "concept"], "difference").reset_index()
    groups = [({}, each), *((dict(zip(cell, place, strict=True)), part) for place, part in each.groupby(list(cell)))]
    rows = []
    for place, part in groups:
        values = _complete_means(part, ["concept"], "difference").dropna().to_numpy(dtype=float)
        mean, low, high = mean_interval(values, confidence=confidence)
        rows.append({**place, "effect": "leaning", "n": len(values), "mean": mean, "low": low, "high": high})
    return pd.DataFrame(rows)


def _check(asked: pd.DataFrame, detect: str, unrelated: str) -> None:
    found = set(zip(asked["arm"], asked["question"], strict=True))
    for arm in ("injected", "none"):
        for question in (detect, unrelated):
            if (arm, question) not in found:
                raise InputError(f"the contrast needs trials of arm {arm!r} and question {question!r}; there are none")


def _shifts(asked: pd.DataFrame, cell: list[str], unit: list[str]) -> pd.DataFrame:
    """Give each unit's mean difference minus that of its control, missing where either is."""
    controls = _complete_means(asked[asked["arm"] == "none"], unit, "difference").rename("control").reset_index()
    keys = list(dict.fromkeys([*cell, "arm", *unit]))
    arms = _complete_means(asked[asked["arm"].isin(EFFECTS)], keys, "difference").reset_index()
    joined = arms.merge(controls, on=unit, how="left", validate="many_to_one")
    return joined.assign(shift=joined["difference"] - joined["control"])


def _complete_means(frame: pd.DataFrame, keys: list[str], column: str) -> pd.Series:
    """Give the means of groups; one missing value makes a mean missing."""
    values = frame.groupby(keys, dropna=False)[column]
    return values.mean().where(values.count() == values.size())


def _by_cell(effects: pd.DataFrame, cells: pd.DataFrame, effect: str) -> np.ndarray:
    """Arrange one effect as (concept, cell), concepts by name, NaN where there is none."""
    numbered = effects.merge(cells.assign(number=range(len(cells))), on=list(cells.columns), validate="many_to_one")
    concepts, names = pd.factorize(numbered["concept"], sort=True)
    values = np.full((len(names), len(cells)), np.nan)
    values[concepts, numbered["number"]] = numbered[effect].astype(float)
    return values
