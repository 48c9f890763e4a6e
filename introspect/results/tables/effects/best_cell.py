"""The best cell without its luck: goes in a run, comes out one row a measure, chosen on half of the concepts.

The other half gives the value to report, beside what the controls do in the same cell on the same concepts: a cell in
which anything at all is noticed is no good cell.
"""

from collections.abc import Iterator

import pandas as pd

from introspect.errors import InputError
from introspect.protocols import beside, kind_of
from introspect.results.statistics.clustered_rates import clustered_rate
from introspect.results.statistics.clusters import Estimate, rate
from introspect.results.statistics.contrasts import concept_effects
from introspect.results.statistics.split_selection import Selection, best_cell
from introspect.results.tables.effects.compression import PAIRED_BY, lacks_plain
from introspect.results.tables.rates.cell_columns import place_columns

CONTRAST = "contrast"
"""Beside the verdicts, what a cell may be best at: the primary contrast of logit(yes) - logit(no)."""
_CONTROLS = ("none", "random", "wrong")


def best_cells(trials: pd.DataFrame, grader: str, *, seed: int = 0) -> pd.DataFrame:
    """Choose the best cell by every measure that the run has, on half of the concepts, and report it on the others.

    `trials` are narrow ones. Columns: question, measure, cells (how many it is the best of), those of a cell, concepts
    of the held-out half, unknown (share without a value, over all cells), chosen with its bounds (an optimist), then
    from the held-out half: value, and the rate of each control there, with bounds over concepts. Raises InputError
    where there are too few concepts.
    """
    done = trials[trials["state"] == "done"]
    rows: list[dict[str, object]] = []
    for question, measure, values, cell in _measured(done, grader):
        found = best_cell(values, "value", cell=cell, seed=seed, estimate=rate if measure == CONTRAST else _share)
        row = {"question": question, "measure": measure, "cells": found.cells, **found.cell}
        sides = {"chosen": found.chosen, "value": found.held_out}
        if measure != CONTRAST:
            asked = done[done["question"] == question]
            sides |= _controls(asked.assign(value=asked[f"{grader}_{measure}"]), found)
        row |= {"concepts": found.held_out.concepts, "unknown": float(values["value"].isna().mean())}
        rows.append(row | {key: value for name, side in sides.items() for key, value in _columns(name, side).items()})
    if not rows:
        raise InputError(f"nothing to choose a cell by: {grader} has no verdict on an injected trial")
    return pd.DataFrame(rows)


def _measured(done: pd.DataFrame, grader: str) -> Iterator[tuple[str, str, pd.DataFrame, list[str]]]:
    """Yield question, measure, values of the injected trials or of concepts, and a cell's columns."""
    injected = done[done["arm"] == "injected"]
    for question in injected["question"].unique():
        asked = injected[injected["question"] == question]
        cell = place_columns(asked)
        noticing = kind_of(question) == "noticing"
        if noticing and not (effects := _effects(done, question)).empty:
            yield question, CONTRAST, effects, cell
        for measure in ("detected", "identified") if noticing else ("correct",):
            values = asked.assign(value=asked[f"{grader}_{measure}"])
            if kind_of(question) != "plain" and values["value"].notna().any():
                yield question, measure, values, cell


def _effects(done: pd.DataFrame, question: str) -> pd.DataFrame:
    """Return the primary contrast of each concept in each cell as `value`; empty where the run lacks a part of it."""
    plain, there = beside(question), set(zip(done["arm"], done["question"], strict=True))
    random = {("random", question), ("random", plain)} <= there
    if plain is None or not random or lacks_plain(done, question, plain) is not None:
        return pd.DataFrame()
    noticing, parts = done["question"] == question, []
    for template in done.loc[noticing, "template"].unique():
        asked = done[(noticing & (done["template"] == template)) | (done["question"] == plain)]
        cell = place_columns(asked[asked["arm"] == "injected"], without=["template"])
        effects = concept_effects(asked, cell=cell, detect=question, unrelated=plain, pairs=PAIRED_BY)
        parts.append(effects.assign(template=template))
    return pd.concat(parts, ignore_index=True).rename(columns={CONTRAST: "value"})


def _controls(asked: pd.DataFrame, found: Selection) -> dict[str, Estimate]:
    """Return the rate of each control in the chosen cell on held-out concepts; one without a site serves all."""
    here = asked["concept"].isin(found.held_out_concepts) & asked["value"].notna()
    for column, at in found.cell.items():
        here &= asked[column].isna() | (asked[column] == at).fillna(False).astype(bool)
    rates = {}
    for control in _CONTROLS:
        part = asked[here & (asked["arm"] == control)]
        if not part.empty:
            rates[control] = _share(part["concept"], part["value"])
    return rates


def _share(concepts: pd.Series, verdicts: pd.Series) -> Estimate:
    """Return a rate of verdicts with its interval; none without a value: the held-out half may lack the chosen cell."""
    return Estimate(*clustered_rate(concepts, verdicts), concepts[verdicts.notna()].nunique())


def _columns(name: str, found: Estimate) -> dict[str, object]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
