"""The third-person twin: what the same injection does to the same question about another model.

A vector that makes any mind in the story seem to have a thought is no introspection; what exceeds it may be (after
Lederman and Mahowald, who ask about another's state). Takes narrow trials, returns third_person.csv.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from introspect.protocols import twins
from introspect.results.statistics.contrasts import EFFECTS
from introspect.results.tables.effects.wording_effects import effects_by_concept, tested, tidy
from introspect.results.tables.rates.cell_columns import place_columns
from introspect.results.tables.trials.absence import AbsentError

PERSONS = ("first person", "third person", "excess")
LACKING = "needs the arm injected on the question about the model itself and on the one about another"


def third_person_table(trials: pd.DataFrame, graders: Sequence[str]) -> pd.DataFrame:
    """Return first person, third person and the excess of the first, of logits and of rates under the concept's vector.

    The effects of logits are those of contrasts.csv; `detected` and `identified` are shares of decided answers, in the
    mean over concepts. No rows for a run without such a pair. Raises AbsentError where one of the two was not injected.
    """
    parts = []
    for third, first in twins().items():
        if not (trials["question"] == third).any():
            continue
        asked = trials[trials["question"].isin([first, third])]
        if set(asked.loc[asked["arm"] == "injected", "question"]) != {first, third}:
            raise AbsentError(LACKING)
        for own, other in _pairs(asked, first, third):
            parts += [part.assign(template=own, third=other) for part in _logits(trials, own, other)]
            parts += [part.assign(template=own, third=other) for part in _rates(asked, own, other, graders)]
    if not parts:
        return pd.DataFrame()
    return tidy(pd.concat(parts, ignore_index=True), ("template", "third", "measure", "grader", "effect"))


def _pairs(asked: pd.DataFrame, first: str, third: str) -> Iterator[tuple[str, str]]:
    """Yield every wording about the model itself with every one about another."""
    for own in asked.loc[asked["question"] == first, "template"].unique():
        for other in asked.loc[asked["question"] == third, "template"].unique():
            yield own, other


def _logits(trials: pd.DataFrame, own: str, other: str) -> Iterator[pd.DataFrame]:
    effects = effects_by_concept(trials)
    if effects.empty:
        return
    cell = [str(name) for name in effects if name not in ("template", "concept", "effect", "value")]
    placed = effects[effects[cell].notna().any(axis=1)]
    for effect in (EFFECTS[2], EFFECTS[0]):
        first, second = (
            placed[(placed["template"] == template) & (placed["effect"] == effect)]
            .drop(columns=["template", "effect"])
            .rename(columns={"value": name})
            for template, name in zip((own, other), TWO_PERSONS, strict=True)
        )
        yield _tested(first, second, cell, effect)


TWO_PERSONS = ("first", "second")


def _rates(asked: pd.DataFrame, own: str, other: str, graders: Sequence[str]) -> Iterator[pd.DataFrame]:
    injected = asked[(asked["arm"] == "injected") & (asked["state"] == "done")]
    cell = place_columns(injected, without=("template",))
    for grader in graders:
        for verdict in ("detected", "identified"):
            known = injected.assign(value=injected[f"{grader}_{verdict}"].astype("Float64").astype(float))
            sides = [
                known[known["template"] == template].groupby([*cell, "concept"], dropna=False)["value"].mean()
                for template in (own, other)
            ]
            if all(side.notna().any() for side in sides):
                first, second = (side.rename(name).reset_index() for side, name in zip(sides, TWO_PERSONS, strict=True))
                yield _tested(first, second, cell, verdict).assign(grader=grader)


def _tested(first: pd.DataFrame, second: pd.DataFrame, cell: list[str], measure: str) -> pd.DataFrame:
    both = first.merge(second, on=[*cell, "concept"], how="outer")
    return tested(both, cell, PERSONS).assign(measure=measure)
