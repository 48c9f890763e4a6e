"""The effects of each wording of a question about noticing, a value per concept; the tables of contrasts rest on them.

Takes narrow trials, returns effects beyond the line of plain questions, and tests of them overall and in every cell.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from introspect.protocols import beside, questions_of
from introspect.results.statistics.contrasts import (
    EFFECTS,
    arm_effects,
    concept_effects,
    contrasts_table,
    overall_contrasts,
)
from introspect.results.tables.effects.compression import PAIRED_BY, lacks_plain
from introspect.results.tables.rates.cell_columns import PLACE, place_columns

_WHOLE = ("loop", "layer", "extract_loop", "n_loops")
"""Columns of whole numbers, which rows over all cells leave empty."""


def wordings(trials: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield question, template and trials of each wording of a question about noticing, plain questions beside it."""
    for question in questions_of("noticing"):
        asked, plain = trials[trials["question"] == question], trials["question"] == beside(question)
        for template in asked["template"].unique():
            wanted = (trials["question"] == question) & (trials["template"] == template)
            yield question, template, trials[wanted | plain]


def effects_in_cells(question: str, plain: str, asked: pd.DataFrame) -> tuple[list[str], pd.DataFrame]:
    """Return the columns of a cell, and the effects of each concept in each cell of one wording."""
    cell = place_columns(asked[asked["arm"] == "injected"], without=("template",))
    return cell, concept_effects(asked, cell=cell, detect=question, unrelated=plain, pairs=PAIRED_BY)


def effects_by_concept(trials: pd.DataFrame) -> pd.DataFrame:
    """Return what the means of contrasts.csv are means of: template, place, concept, effect, value; NaN where missing.

    The rows without a place are over all cells, as in that table. No rows where the run lacks a part of all contrasts.
    """
    parts = []
    for question, template, asked in wordings(trials):
        plain = beside(question)
        if plain is not None and lacks_plain(asked, question, plain) is None:
            cell, effects = effects_in_cells(question, plain, asked)
            by_concept = effects.groupby("concept")[list(EFFECTS)]
            complete = by_concept.count() == len(effects[cell].drop_duplicates())
            overall = by_concept.mean().where(complete).reset_index()
            long = pd.concat([overall, effects]).melt([*cell, "concept"], list(EFFECTS), "effect", "value")
            parts.append(long.assign(template=template))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def effects_of_text(question: str, plain: str, asked: pd.DataFrame) -> pd.Series:
    """Return the effect of the concept written into the prompt, by concept: no cell of a grid changes it."""
    whole = asked[asked["arm"].isin(("text", "none"))].assign(cell="all")
    found = arm_effects(whole, arms=("text",), cell=["cell"], detect=question, unrelated=plain, pairs=PAIRED_BY)
    return found.reset_index().set_index("concept")["effect"]


def tested(pairs: pd.DataFrame, cell: Sequence[str], names: tuple[str, str, str]) -> pd.DataFrame:
    """Test first, second and their difference over concepts: the first rows over all cells, then cell by cell.

    `pairs` has the columns of a cell, concept, first and second; `names` are what the three are called in the column
    effect. The columns are those of contrasts.csv.
    """
    effects = pairs.rename(columns={"first": EFFECTS[0], "second": EFFECTS[1]})
    effects = effects.assign(**{EFFECTS[2]: effects[EFFECTS[0]] - effects[EFFECTS[1]]})
    table = pd.concat([overall_contrasts(effects, cell=cell), contrasts_table(effects, cell=cell)], ignore_index=True)
    return table.assign(effect=table["effect"].map(dict(zip(EFFECTS, names, strict=True))))


def tidy(table: pd.DataFrame, first: Sequence[str]) -> pd.DataFrame:
    """Put the columns in order: `first`, the place, then the others; numbers of loops and layers are whole."""
    table = table.astype({name: "Int64" for name in (*_WHOLE, "n", "dropped") if name in table})
    leading = [name for name in (*first, *PLACE) if name in table]
    return table[[*leading, *(name for name in table if name not in leading)]]
