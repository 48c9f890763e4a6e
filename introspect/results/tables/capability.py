"""The capability gate of a run, one for each kind of answer. Takes the trials of a run, returns capability.csv.

Yes or no: plain questions. Options: of the questions with options, the one in which the model does best; of the plain
one the right answer is known, of the others it counts that an option is named, since with nothing injected none is
right. (A model may well say that there was no thought: it is unable only where it fails in all of them.) Repeat: the
line itself.
"""

from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd

from introspect.protocols import Kind, gates, questions_of, silent_protocols
from introspect.results.statistics.capability import CANNOT_ANSWER, Capability, capability
from introspect.results.tables.absence import AbsentError

YES_NO, OPTIONS, REPEAT = "yes or no", "options", "repeat"
ANSWERS: dict[Kind, str] = {"noticing": YES_NO, "plain": YES_NO, "choice": OPTIONS, "repeating": REPEAT}
"""Which gate a kind of question has."""


def capability_table(trials: pd.DataFrame, grader: str) -> pd.DataFrame:
    """Judge for each kind of answer, and each number of loops run, whether the model can give it.

    Columns: n_loops, answers, question, questions, then those of Capability. Raises AbsentError for a run that asked
    nothing from which it could be seen.
    """
    clean = trials[(trials["arm"] == "none") & (trials["repeat"] == 0)]
    rows = [row for n_loops in sorted(clean["n_loops"].unique()) for row in _gates(int(n_loops), clean, grader)]
    if not rows and not trials["protocol"].isin(silent_protocols()).all():
        asked = " or ".join(gates())
        raise AbsentError(f"needs the question {asked} in the arm none, to know whether the model can answer at all")
    return pd.DataFrame(rows)


def telling() -> list[str]:
    """Return the names of the questions from which a gate is read."""
    return [*gates(), *questions_of("choice"), *questions_of("repeating")]


def unable(trials: pd.DataFrame, table: pd.DataFrame, grader: str) -> pd.Series:
    """Tell for each row with columns question and n_loops whether the model cannot give such answers, by a grader.

    Questions with options were held against plain yes or no where a run has no gate of their own. Gates keep their
    rates.
    """
    if table.empty:
        return pd.Series(False, index=trials.index)
    mine = table[table["grader"] == grader]
    verdicts = {(int(n), kind): verdict for n, kind, verdict in mine[["n_loops", "answers", "verdict"]].to_numpy()}
    kinds = {name: kind for of, kind in ANSWERS.items() for name in questions_of(of)}
    failing = [
        verdicts.get((n, kinds.get(question)), verdicts.get((n, YES_NO))) == CANNOT_ANSWER
        for question, n in zip(trials["question"], trials["n_loops"], strict=True)
    ]
    return pd.Series(failing, index=trials.index, dtype=bool) & ~trials["question"].isin(gates())


def _gates(n_loops: int, clean: pd.DataFrame, grader: str) -> Iterator[dict[str, object]]:
    """Give the gates that this many loops have, at most one for each kind of answer."""
    clean = clean[clean["n_loops"] == n_loops]
    kinds: tuple[tuple[str, Kind], ...] = ((YES_NO, "plain"), (OPTIONS, "choice"), (REPEAT, "repeating"))
    for answers, kind in kinds:
        judged = [
            (_judged(answers, question, clean[clean["question"] == question], grader), question)
            for question in _asked(kind, clean)
        ]
        if judged:
            found, question = max(judged, key=lambda each: _goodness(each[0]))
            asked = clean.loc[clean["question"] == question, "asked"].nunique()
            about = {"n_loops": n_loops, "answers": answers, "question": question, "questions": asked}
            yield {**about, **asdict(found)}


def _asked(kind: Kind, clean: pd.DataFrame) -> list[str]:
    """List the questions of a kind that tell; of plain ones those that are gates."""
    known = [name for name in questions_of(kind) if kind != "plain" or name in gates()]
    return [name for name in known if (clean["question"] == name).any()]


def _judged(answers: str, question: str, part: pd.DataFrame, grader: str) -> Capability:
    if answers == YES_NO:
        return capability(part, correct=f"{grader}_correct")
    if answers == REPEAT:
        return capability(part, correct=f"{grader}_correct", mass=None)
    right = part[f"{grader}_correct"] if question in gates() else part[f"{grader}_answer"].notna().astype("boolean")
    return capability(part.assign(right=right), correct="right", mass="offered")


def _goodness(found: Capability) -> tuple[bool, float]:
    return found.verdict != CANNOT_ANSWER, found.k / max(found.n + found.unknown, 1)
