"""The capability gate of a run, one for each kind of answer. Takes the trials of a run, returns capability.csv.

Yes or no: plain questions. Options: of the questions with options, the one in which the model does best; of the plain
one the right answer is known, of the others it counts that an option is named, since with nothing injected none is
right. With nothing injected a model may well say that there was no thought, and choose once there is one: so the
answers of each other arm at each strength are looked at too, where there are enough of them. It is unable only where
it fails in all of these. Repeat: the line itself.
"""

from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd

from introspect.protocols import Kind, gates, questions_of, silent_protocols
from introspect.results.statistics.capability import CANNOT_ANSWER, Capability, capability
from introspect.results.tables.trials.absence import AbsentError

_YES_NO, _OPTIONS, REPEAT = "yes or no", "options", "repeat"
_ANSWERS: dict[Kind, str] = {"noticing": _YES_NO, "plain": _YES_NO, "choice": _OPTIONS, "repeating": REPEAT}
"""Which gate a kind of question has."""
LEAST_ANSWERS = 20
"""With fewer answers to a strength of an arm, one of many is all options by chance."""


def capability_table(trials: pd.DataFrame, grader: str) -> pd.DataFrame:
    """Judge for each kind of answer, and each number of loops run, whether the model can give it.

    Columns: n_loops, answers, question, judged_arm, questions, then those of Capability. Raises AbsentError for a run
    that asked nothing from which it could be seen.
    """
    trials = trials[trials["repeat"] == 0]
    loops = sorted(trials.loc[trials["arm"] == "none", "n_loops"].unique())
    rows = [row for n_loops in loops for row in _gates(int(n_loops), trials[trials["n_loops"] == n_loops], grader)]
    if not rows and not trials["protocol"].isin(silent_protocols()).all():
        asked = " or ".join(gates())
        raise AbsentError(f"needs the question {asked} in the arm none, to know whether the model can answer at all")
    return pd.DataFrame(rows)


def telling(cells: pd.DataFrame) -> pd.Series:
    """Tell for each cell whether a gate is read from its trials."""
    options = cells["question"].isin(questions_of("choice"))
    return options | (cells["question"].isin([*gates(), *questions_of("repeating")]) & (cells["arm"] == "none"))


def unable(trials: pd.DataFrame, table: pd.DataFrame, grader: str) -> pd.Series:
    """Tell for each row with columns question and n_loops whether the model cannot give such answers, by a grader.

    Questions with options were held against plain yes or no where a run has no gate of their own. Gates keep their
    rates.
    """
    if table.empty:
        return pd.Series(False, index=trials.index)
    mine = table[table["grader"] == grader]
    verdicts = {(int(n), kind): verdict for n, kind, verdict in mine[["n_loops", "answers", "verdict"]].to_numpy()}
    kinds = {name: kind for of, kind in _ANSWERS.items() for name in questions_of(of)}
    failing = [
        verdicts.get((n, kinds.get(question)), verdicts.get((n, _YES_NO))) == CANNOT_ANSWER
        for question, n in zip(trials["question"], trials["n_loops"], strict=True)
    ]
    return pd.Series(failing, index=trials.index, dtype=bool) & ~trials["question"].isin(gates())


def _gates(n_loops: int, trials: pd.DataFrame, grader: str) -> Iterator[dict[str, object]]:
    """Yield the gates that this many loops have, at most one for each kind of answer."""
    clean = trials[trials["arm"] == "none"]
    kinds: tuple[tuple[str, Kind], ...] = ((_YES_NO, "plain"), (_OPTIONS, "choice"), (REPEAT, "repeating"))
    for answers, kind in kinds:
        judged = []
        for question in _asked(kind, clean):
            part = clean[clean["question"] == question]
            judged.append((_judged(answers, question, part, grader), question, "none", part["asked"].nunique()))
        if judged and answers == _OPTIONS:
            judged += _with_something_injected(trials, grader)
        if judged:
            found, question, arm, asked = max(judged, key=lambda each: _goodness(each[0]))
            about = {
                "n_loops": n_loops,
                "answers": answers,
                "question": question,
                "judged_arm": arm,
                "questions": asked,
            }
            yield {**about, **asdict(found)}


def _with_something_injected(trials: pd.DataFrame, grader: str) -> Iterator[tuple[Capability, str, str, int]]:
    """Yield the other arms and strengths in which options are named as often as they must be; others tell nothing."""
    asked = trials[(trials["arm"] != "none") & trials["question"].isin(set(questions_of("choice")) - set(gates()))]
    for (question, arm, _), part in asked.groupby(["question", "arm", "strength"], dropna=False):
        if (part["state"] == "done").sum() >= LEAST_ANSWERS:
            named = part.assign(right=part[f"{grader}_answer"].notna().astype("boolean"))
            found = capability(named, correct="right", mass=None)
            if found.verdict != CANNOT_ANSWER:
                yield found, str(question), str(arm), part["asked"].nunique()


def _asked(kind: Kind, clean: pd.DataFrame) -> list[str]:
    """List the questions of a kind that tell; of plain ones those that are gates."""
    known = [name for name in questions_of(kind) if kind != "plain" or name in gates()]
    return [name for name in known if (clean["question"] == name).any()]


def _judged(answers: str, question: str, part: pd.DataFrame, grader: str) -> Capability:
    if answers == _YES_NO:
        return capability(part, correct=f"{grader}_correct")
    if answers == REPEAT:
        return capability(part, correct=f"{grader}_correct", mass=None)
    right = part[f"{grader}_correct"] if question in gates() else part[f"{grader}_answer"].notna().astype("boolean")
    return capability(part.assign(right=right), correct="right", mass="offered")


def _goodness(found: Capability) -> tuple[bool, float]:
    return found.verdict != CANNOT_ANSWER, found.k / max(found.n + found.unknown, 1)
