"""The lines of plain questions, arm by arm and cell by cell: compression, pull towards yes, entropy.

Takes narrow trials, returns one row per question, measure, arm and cell, the first rows over all cells. `intercept` is
the shift in logits of a question that would be undecided without an injection, `slope` the shift per logit of what it
would be (-1: nothing is left of it), `entropy` the change in nats where the answer begins.
"""

import numpy as np
import pandas as pd

from introspect.protocols import questions_of
from introspect.records.trial import NOT_INJECTED
from introspect.results.statistics.contrasts import concept_lines
from introspect.results.statistics.intervals import mean_interval
from introspect.results.statistics.plain_line import LEAST_QUESTIONS
from introspect.results.tables.rates.cell_columns import PLACE, place_columns
from introspect.results.tables.trials.absence import AbsentError

MEASURED = ("slope", "intercept", "entropy")
PAIRED_BY = ("repeat", "n_loops", "asked")
"""What a trial and its control without an injection have in common, beside concept and question."""
_ANSWERS = ("yes", "no")
EXTRAPOLATED = "extrapolated"
SLACK = 0.1
"""Share of their span by which the question about noticing may stand outside of plain questions without a word."""


def compression_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the mean and its t interval over n concepts; no rows where no plain question is asked under an injection.

    Raises AbsentError where there are some, and too few for a line.
    """
    parts, lacking = [], None
    for question in questions_of("plain"):
        asked = trials[trials["question"] == question]
        arms = [arm for arm in asked["arm"].unique() if arm not in NOT_INJECTED]
        if not arms or (lacking := too_few_plain(asked)):
            continue
        cell = place_columns(asked[asked["arm"].isin(arms)], without=("template",))
        lines = concept_lines(asked, arms=arms, cell=cell, unrelated=question, pairs=PAIRED_BY)
        parts.append(_summarised(lines, cell).assign(question=question))
    if not parts and lacking:
        raise AbsentError(lacking)
    return _tidy(pd.concat(parts, ignore_index=True)) if parts else pd.DataFrame()


def lacks_plain(asked: pd.DataFrame, question: str, beside: str) -> str | None:
    """Say what the trials of a wording and its plain questions lack for a primary contrast; None: nothing."""
    there = set(zip(asked["arm"], asked["question"], strict=True))
    if not {(arm, each) for arm in ("injected", "none") for each in (question, beside)} <= there:
        return f"needs the arms injected and none, each on the questions {question} and {beside}"
    return too_few_plain(asked[asked["question"] == beside])


def too_few_plain(plain: pd.DataFrame) -> str | None:
    """Say that there are too few different plain questions with a control for a line; None: there are enough."""
    injected = plain.loc[~plain["arm"].isin(NOT_INJECTED), "asked"]
    known = plain[(plain["arm"] == "none") & plain["asked"].isin(injected)]
    counts = {answer: known.loc[known["expected"] == answer, "asked"].nunique() for answer in _ANSWERS}
    if min(counts.values()) >= LEAST_QUESTIONS:
        return None
    found = " and ".join(f"{counts[answer]} whose answer is {answer}" for answer in _ANSWERS)
    return (
        f"needs {LEAST_QUESTIONS} different plain questions of each answer, under an injection and without: "
        f"here are {found}; "
        "every concept and repeat asks another pair of them"
    )


def outside_plain(asked: pd.DataFrame, question: str, beside: str) -> str | None:
    """Say where the question about noticing stands well outside of what plain questions span; None: it does not."""
    clean = asked[(asked["arm"] == "none") & asked["difference"].notna()]
    at, plain = (clean.loc[clean["question"] == each, "difference"] for each in (question, beside))
    if at.empty or plain.empty or _within(at.mean(), plain):
        return None
    return f"{EXTRAPOLATED}: clean logit {at.mean():.2f}, plain questions {plain.min():.2f} to {plain.max():.2f}"


def _within(at: float, plain: pd.Series) -> bool:
    slack = SLACK * (plain.max() - plain.min())
    return bool(plain.min() - slack <= at <= plain.max() + slack)


def _summarised(lines: pd.DataFrame, cell: list[str]) -> pd.DataFrame:
    """Summarise each measure over concepts: for each arm once over all cells, then cell by cell."""
    by_concept = lines.groupby(["arm", "concept"])[list(MEASURED)]
    whole = by_concept.mean().where(by_concept.count().eq(by_concept.size(), axis=0)).reset_index()
    rows = []
    for table, keys in ((whole, ["arm"]), (lines, ["arm", *cell])):
        for place, part in table.groupby(keys, dropna=False):
            at = dict(zip(keys, place, strict=True))
            rows += [{**at, "measure": name, **_over_concepts(part[name].to_numpy(dtype=float))} for name in MEASURED]
    return pd.DataFrame(rows)


def _over_concepts(values: np.ndarray) -> dict[str, float]:
    known = values[np.isfinite(values)]
    mean, low, high = mean_interval(known)
    return {"n": len(known), "mean": mean, "low": low, "high": high}


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    whole = [name for name in ("loop", "layer", "extract_loop", "n_loops", "n") if name in table]
    table = table.astype(dict.fromkeys(whole, "Int64"))
    first = ["question", "measure", "arm", *(name for name in PLACE if name in table)]
    last = ["n", "mean", "low", "high"]
    others = [name for name in table if name not in (*first, *last)]
    return table[[*first, *others, *last]]
