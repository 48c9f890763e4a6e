"""The rules against what people read in 420 answers of a real model, plain and with loops of its own.

Two readers, blind to the arm, labelled 340 answers at temperatures 1.0 and 0.7; a third 80 at 0.3. The rules were
changed with the development half in sight. The sealed half was looked at only to count.
"""

from pathlib import Path

import pandas as pd
import pytest

from introspect.grading.rules import verdicts_on
from introspect.results.tables.trials.fluency import floor_of

FILE = Path(__file__).parent / "data" / "real_answers.csv"
READERS = {"development": ("a", "c"), "sealed": ("b", "c")}
"""Whose label counts, where two have read an answer."""
WORDS = {True: "yes", False: "no", None: "unknown"}


@pytest.fixture(scope="module")
def answers() -> pd.DataFrame:
    table = pd.read_csv(FILE, keep_default_na=False, na_values=[""])
    counted = pd.concat(table[(table["half"] == half) & table["reader"].isin(who)] for half, who in READERS.items())
    texts = zip(counted["text"].fillna(""), counted["concept"], strict=True)
    graded = [verdicts_on(text, concept) for text, concept in texts]
    for verdict in ("detected", "identified", "coherent", "refused"):
        counted[f"rules_{verdict}"] = [WORDS[getattr(each, verdict)] for each in graded]
    return counted


def right(half: pd.DataFrame, verdict: str, label: str) -> tuple[int, int]:
    """Count the answers with a label (not that label: `!yes`) that the rules give it (do not), and all of them."""
    wanted = label.removeprefix("!")
    labelled, graded = half[verdict] == wanted, half[f"rules_{verdict}"] == wanted
    if label != wanted:
        labelled, graded = ~labelled, ~graded
    return int((labelled & graded).sum()), int(labelled.sum())


def test_there_are_as_many_answers_of_each_kind_as_it_says(answers: pd.DataFrame) -> None:
    assert answers["half"].value_counts().to_dict() == {"development": 210, "sealed": 210}
    assert set(answers["temperature"]) == {0.3, 0.7, 1.0}
    assert set(answers["loops"]) == {1, 2}
    assert answers["number"].is_unique


@pytest.mark.parametrize("half", READERS)
@pytest.mark.parametrize(
    ("verdict", "label", "least"),
    [
        ("detected", "yes", 0.6),  # a yes that is not seen lowers a rate
        ("detected", "!yes", 0.88),  # a yes that is not there raises it
        ("identified", "!yes", 0.99),
        ("coherent", "yes", 0.98),
        ("refused", "!yes", 0.97),
    ],
)
def test_the_rules_agree_with_the_readers(
    answers: pd.DataFrame, half: str, verdict: str, label: str, least: float
) -> None:
    agreed, of = right(answers[answers["half"] == half], verdict, label)
    assert agreed >= least * of, f"{verdict} {label}: {agreed} of {of}"


def test_the_model_s_own_floor_keeps_what_can_be_read(answers: pd.DataFrame) -> None:
    """It is no judge of sense: with nothing injected the model writes nonsense as well, and that sets the floor."""
    alike = answers.groupby(["temperature", "loops"])
    floors = alike.apply(lambda part: floor_of(part.loc[part["arm"] == "none", "clean_logprob"]), include_groups=False)
    kept = (
        answers["clean_logprob"] >= floors.loc[pd.MultiIndex.from_frame(answers[["temperature", "loops"]])].to_numpy()
    )
    readable = answers["coherent"] == "yes"
    assert kept[readable].mean() >= 0.95
    assert kept[answers["coherent"] == "no"].mean() < kept[readable].mean()
