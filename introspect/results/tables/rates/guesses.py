"""Default guesses: which wrong words are named, held against the words named with nothing injected.

A model that names its favourites has wrong answers like those without an injection; a vector that is read in part leads
to other words, perhaps of the same category. Takes narrow trials, returns guesses.csv and confusion.csv.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import pandas as pd

from introspect.concepts.sets import SHIPPED_SETS, load_concepts
from introspect.protocols import questions_of

NO_CATEGORY = "other"
"""Category of a word that no shipped concept set has."""


def guesses_table(trials: pd.DataFrame, graders: Sequence[str]) -> pd.DataFrame:
    """Return one row per grader, question, arm and wrong word: its share, and its share with nothing injected.

    `n` counts the wrong answers of the arm, `n_none` all answers without an injection. A word that was injected is left
    out of neither: with nothing injected none is right.
    """
    rows = []
    for grader, question, named in _named(trials, graders):
        alone = named.loc[named["arm"] == "none", "word"]
        for arm, part in named[named["arm"] != "none"].groupby("arm"):
            wrong = part.loc[part["word"] != part["injected"], "word"]
            for word in sorted({*wrong} | {*alone}):
                about = {"grader": grader, "question": question, "arm": arm, "word": word, "category": category(word)}
                rows.append({**about, **_shares(wrong == word, alone == word)})
    table = pd.DataFrame(rows)
    by = ["grader", "question", "arm", "k", "k_none", "word"]
    return (
        table
        if table.empty
        else table.sort_values(by, ascending=[True, True, True, False, False, True], ignore_index=True)
    )


def confusion_table(trials: pd.DataFrame, graders: Sequence[str]) -> pd.DataFrame:
    """Return how often words of each category are named wrongly for a concept of each category.

    `n` counts the wrong answers to concepts of a category, `n_none` the answers without an injection to the same
    concepts, which had the same words on offer.
    """
    rows = []
    for grader, question, named in _named(trials, graders):
        named = named.assign(of=named["injected"].map(category), said=named["word"].map(category))
        for (arm, of), part in named[named["arm"] != "none"].groupby(["arm", "of"]):
            wrong = part.loc[part["word"] != part["injected"], "said"]
            control = named["concept"].isin(part["concept"].unique())
            alone = named.loc[(named["arm"] == "none") & control, "said"]
            for said in sorted({*wrong} | {*alone}):
                about = {"grader": grader, "question": question, "arm": arm, "category": of, "named_category": said}
                rows.append({**about, **_shares(wrong == said, alone == said)})
    return pd.DataFrame(rows)


def _named(trials: pd.DataFrame, graders: Sequence[str]) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield the readable answers to each question whose right answer is the concept, with the words injected and
    named."""
    asked = trials[(trials["state"] == "done") & (trials["expected"] == trials["concept"])]
    asked = asked[asked["question"].isin(questions_of("choice", "naming"))]
    for question, part in asked.groupby("question"):
        if set(part["arm"]) <= {"none"}:
            continue
        for grader in graders:
            known = part[part[f"{grader}_answer"].notna()]
            words = known["partner"].fillna(known["concept"])
            yield grader, str(question), known.assign(injected=words, word=known[f"{grader}_answer"])


def _shares(among: pd.Series, alone: pd.Series) -> dict[str, float]:
    counts = {"k": int(among.sum()), "n": len(among), "k_none": int(alone.sum()), "n_none": len(alone)}
    shares = {"share": among.mean() if len(among) else float("nan")}
    return {**counts, **shares, "share_none": alone.mean() if len(alone) else float("nan")}


def category(word: str) -> str:
    """Return the category of a word in the shipped concept sets, NO_CATEGORY for others."""
    return _categories().get(word.casefold(), NO_CATEGORY)


@cache
def _categories() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in reversed(SHIPPED_SETS):  # the first set that has a word says what it is
        concepts = load_concepts(name)
        words = zip(concepts.words, concepts.categories, strict=True)
        found |= {word.casefold(): kind for word, kind in words if kind}
    return found
