"""What a run allows to infer: contrasts, sensitivity, naming, capability, agreement. In goes a store, out come tables.

A table that a run cannot have, for lack of an arm or a question, is not there, and what it lacks is said. What cannot
be estimated in a row is missing there, with its n and a note.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import pandas as pd

from introspect.protocols import beside, gates, questions_of, silent_protocols
from introspect.records.trial import OF_ANOTHER
from introspect.results.statistics.capability import capability
from introspect.results.statistics.clusters import NO_VALUE
from introspect.results.statistics.contrasts import (
    EFFECTS,
    concept_effects,
    contrasts_table,
    leanings,
    overall_contrasts,
)
from introspect.results.statistics.detection import detection_table
from introspect.results.statistics.naming import mutual_information, naming, rank_summary
from introspect.results.store.store import Store
from introspect.results.tables.absence import AbsentError, Made, make_each
from introspect.results.tables.agreement import agreement_table
from introspect.results.tables.cell_columns import PLACE, place_columns
from introspect.results.tables.compression import PAIRED_BY, compression_table, lacks_plain, outside_plain
from introspect.results.tables.narrow_trials import narrow_trials
from introspect.results.tables.timing import timing
from introspect.results.tables.trials import stored_graders

WHOLE = ("loop", "layer", "extract_loop", "n_loops")
"""Columns of whole numbers, which rows over all cells leave empty."""


def inferences(store: Store) -> dict[str, pd.DataFrame]:
    """Make the tables that this run can have, from contrasts and compression to agreement."""
    return infer(narrow_trials(store), stored_graders(store)).made


def infer(trials: pd.DataFrame, graders: Sequence[str]) -> Made[pd.DataFrame]:
    """Make the same tables from what `narrow_trials` gives, each by itself, and say what the others lack."""
    answered = trials[trials["state"] == "done"]
    found = make_each(
        {
            "contrasts": lambda: _contrasts(trials),
            "compression": lambda: compression_table(trials),
            "sensitivity": lambda: _by_grader(answered, graders, _sensitivity),
            "timing": lambda: timing(trials, graders),
            "naming": lambda: _by_grader(answered, graders, _naming),
            "ranks": lambda: _ranks(answered),
            "capability": lambda: capability_table(trials, graders),
            "agreement": lambda: agreement_table(answered, graders),
        }
    )
    return Made({name: table for name, table in found.made.items() if not table.empty}, found.absent)


def _contrasts(trials: pd.DataFrame) -> pd.DataFrame:
    """Give contrast and leaning overall (loop and layer missing) and in every cell, for each wording."""
    parts, lacking = [], None
    for question, template, asked in _wordings(trials):
        plain = beside(question)
        lacks = NOTHING_BESIDE if plain is None else lacks_plain(asked, question, plain)
        if plain is None or lacks is not None:
            lacking = lacks
            continue
        cell, effects = _effects(question, plain, asked)
        leaning = leanings(asked, cell=cell, detect=question)
        for table in (overall_contrasts(effects, cell=cell), contrasts_table(effects, cell=cell), leaning):
            noted = table["mean"].isna().map({True: NO_CONCEPT, False: outside_plain(asked, question, plain)})
            parts.append(table.assign(template=template, note=noted.astype("str")))
    if not parts:
        return _nothing(lacking)
    table = pd.concat(parts, ignore_index=True)
    table = table.astype({name: "Int64" for name in (*WHOLE, "n", "dropped") if name in table})
    first = [name for name in ("template", *PLACE) if name in table]
    return table[[*first, *(name for name in table if name not in (*first, "note")), "note"]]


NOTHING_BESIDE = "needs a question about noticing that names a plain question beside it"


def effects_by_concept(trials: pd.DataFrame) -> pd.DataFrame:
    """Return what the means of contrasts.csv are means of: template, place, concept, effect, value; NaN where missing.

    The rows without a place are over all cells, as in that table. No rows where the run lacks a part of all contrasts.
    """
    parts = []
    for question, template, asked in _wordings(trials):
        plain = beside(question)
        if plain is not None and lacks_plain(asked, question, plain) is None:
            cell, effects = _effects(question, plain, asked)
            by_concept = effects.groupby("concept")[list(EFFECTS)]
            complete = by_concept.count() == len(effects[cell].drop_duplicates())
            overall = by_concept.mean().where(complete).reset_index()
            long = pd.concat([overall, effects]).melt([*cell, "concept"], list(EFFECTS), "effect", "value")
            parts.append(long.assign(template=template))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _effects(question: str, plain: str, asked: pd.DataFrame) -> tuple[list[str], pd.DataFrame]:
    """Return the columns of a cell, and the effects of each concept in each cell of one wording."""
    cell = place_columns(asked[asked["arm"] == "injected"], without=("template",))
    return cell, concept_effects(asked, cell=cell, detect=question, unrelated=plain, pairs=PAIRED_BY)


NO_CONCEPT = "no concept has all parts of it"


def _sensitivity(answered: pd.DataFrame, grader: str) -> pd.DataFrame:
    """Give d', criterion and AUC of every cell against every control, for each wording.

    There is no AUC against the arm none: read before the first draw, one prompt has one logit for all concepts there.
    """
    parts, lacking = [], None
    for _, template, asked in _wordings(answered):
        noticed = asked[asked["question"].isin(questions_of("noticing"))]
        arms = [arm for arm in ("none", "random", *OF_ANOTHER) if arm in set(noticed["arm"])]
        if not arms or "injected" not in set(noticed["arm"]):
            lacking = "needs answers of the arm injected and of one of none, random and wrong"
            continue
        cell = place_columns(noticed[noticed["arm"] == "injected"], without=("template",))
        found = detection_table(noticed, verdict=f"{grader}_detected", controls=arms, cell=cell, method="percentile")
        parts.append(found[(found["measure"] != "auc") | (found["control"] != "none")].assign(template=template))
    return pd.concat(parts, ignore_index=True) if parts else _nothing(lacking)


def _naming(answered: pd.DataFrame, grader: str) -> pd.DataFrame:
    """Hold the concept chosen among several against chance and against the choice with nothing injected.

    A trial that did not offer the injected word, as some of the arm `wrong` in older runs, is left out and counted.
    """
    among = answered[answered["options"].notna() & (answered["expected"] == answered["concept"])]
    rows: list[dict[str, object]] = []
    for question, asked in among.groupby("question"):
        options = int(asked["options"].str.count('", "').iloc[0]) + 1
        active = _beside_none(asked, f"{grader}_answer")
        for place, part in active.groupby(["arm", *place_columns(active)], dropna=False):
            offers = [word in among for word, among in zip(part["injected"], part["offered"], strict=True)]
            lost, part = len(part) - sum(offers), part[offers]
            injected, named = part["injected"], part[f"{grader}_answer"]
            found = naming(injected, named, part["alone"], part["concept"], options=options)
            bits, null, p, _ = mutual_information(injected, named, part["offered"], permutations=499)
            left_out = f"{lost} trials left out, which did not offer the injected word" if lost else None
            rows.append(
                {
                    "question": question,
                    **dict(zip(["arm", *place_columns(active)], place, strict=True)),
                    **asdict(found),
                    **{"bits": bits, "bits_null": null, "p_bits": p, "note": left_out if found.n else NO_VALUE},
                }
            )
    return pd.DataFrame(rows) if rows or among.empty else _nothing("needs answers of an arm other than none")


def _beside_none(asked: pd.DataFrame, answer: str) -> pd.DataFrame:
    """Return the trials of all arms but none, with the words injected and offered, and the answer alone."""
    same = ["concept", "repeat", "n_loops", "template", "options"]
    alone = asked[asked["arm"] == "none"].drop_duplicates(same)[[*same, answer]].rename(columns={answer: "alone"})
    active = asked[asked["arm"] != "none"].merge(alone, on=same, how="left", validate="many_to_one")
    words = {options: tuple(json.loads(options)) for options in active["options"].unique()}
    injected = active["partner"].fillna(active["concept"])
    return active.assign(injected=injected, offered=active["options"].map(words))


def _ranks(answered: pd.DataFrame) -> pd.DataFrame:
    """Summarise the rank of the concept's first token where the answer begins, with intervals over concepts."""
    known = answered[answered["concept_rank"].notna()]
    rows = []
    for place, part in known.groupby(keys := ["question", "arm", *place_columns(known)], dropna=False):
        found = rank_summary(part["concept"], part["concept_rank"], resamples=499)
        at = dict(zip(keys, place, strict=True))
        rows += [{**at, "measure": name, **asdict(each), "note": each.note} for name, each in found.items()]
    return pd.DataFrame(rows)


def capability_table(trials: pd.DataFrame, graders: Sequence[str]) -> pd.DataFrame:
    """Judge by every grader whether the model can answer at all. Raises AbsentError without plain questions."""
    return _by_grader(trials, graders, _capability)


def _capability(trials: pd.DataFrame, grader: str) -> pd.DataFrame:
    """Judge from plain questions with nothing injected whether the model can answer at all, run for so many loops."""
    plain = trials[trials["question"].isin(gates()) & (trials["arm"] == "none") & (trials["repeat"] == 0)]
    if plain.empty and not trials["protocol"].isin(silent_protocols()).all():
        asked = " or ".join(gates())
        raise AbsentError(f"needs the question {asked} in the arm none, to know whether the model can answer at all")
    rows = []
    for n_loops, part in plain.groupby("n_loops"):
        found = capability(part, correct=f"{grader}_correct")
        rows.append({"n_loops": n_loops, "questions": part["asked"].nunique(), **asdict(found)})
    return pd.DataFrame(rows)


def _by_grader(
    trials: pd.DataFrame, graders: Sequence[str], make: Callable[[pd.DataFrame, str], pd.DataFrame]
) -> pd.DataFrame:
    """Make a table of each grader's verdicts; without any there is none."""
    parts = [make(trials, grader).assign(grader=grader) for grader in graders]
    parts = [part for part in parts if not part.empty]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _wordings(trials: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Give question, template and trials of each wording of a question about noticing, plain questions beside it."""
    for question in questions_of("noticing"):
        asked, plain = trials[trials["question"] == question], trials["question"] == beside(question)
        for template in asked["template"].unique():
            wanted = (trials["question"] == question) & (trials["template"] == template)
            yield question, template, trials[wanted | plain]


def _nothing(lacking: str | None) -> pd.DataFrame:
    """Give no rows where a run has no use for the table. Raises AbsentError where it has, and lacks a part."""
    if lacking is not None:
        raise AbsentError(lacking)
    return pd.DataFrame()
