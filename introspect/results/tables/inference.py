"""What a run allows to infer: contrasts, sensitivity, naming, capability, agreement. In goes a store, out come tables.

A table that a run cannot have, for lack of an arm or a question, is not there, and what it lacks is said. What cannot
be estimated in a row is missing there, with its n and a note.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

import pandas as pd

from introspect.protocols import beside, gates, questions_of
from introspect.records.trial import OF_ANOTHER
from introspect.results.statistics.clusters import NO_VALUE
from introspect.results.statistics.contrasts import contrasts_table, leanings, overall_contrasts
from introspect.results.statistics.detection import detection_table
from introspect.results.statistics.naming_tests import mutual_information, naming, rank_summary
from introspect.results.store.store import Store
from introspect.results.tables.effects.against import against_table
from introspect.results.tables.effects.compression import compression_table, lacks_plain, outside_plain
from introspect.results.tables.effects.third_person_effects import third_person_table
from introspect.results.tables.effects.wording_effects import effects_in_cells, tidy, wordings
from introspect.results.tables.effects.wordings import wordings_table
from introspect.results.tables.rates.agreement import agreement_table
from introspect.results.tables.rates.capability import capability_table
from introspect.results.tables.rates.cell_columns import place_columns
from introspect.results.tables.rates.detection_times import timing
from introspect.results.tables.rates.guesses import confusion_table, guesses_table
from introspect.results.tables.trials.absence import AbsentError, Made, make_each
from introspect.results.tables.trials.narrow_trials import narrow_trials
from introspect.results.tables.trials.trials import stored_graders


def inferences(store: Store) -> dict[str, pd.DataFrame]:
    """Make the tables that this run can have, from contrasts and compression to agreement."""
    return infer(narrow_trials(store), stored_graders(store)).made


def infer(trials: pd.DataFrame, graders: Sequence[str]) -> Made[pd.DataFrame]:
    """Make the same tables from what `narrow_trials` gives, each by itself, and say what the others lack."""
    answered = trials[trials["state"] == "done"]
    found = make_each(
        {
            "contrasts": lambda: _contrasts(trials),
            "against": lambda: against_table(trials),
            "third_person": lambda: third_person_table(trials, graders),
            "wordings": lambda: wordings_table(trials),
            "compression": lambda: compression_table(trials),
            "sensitivity": lambda: _by_grader(answered, graders, _sensitivity),
            "timing": lambda: timing(trials, graders),
            "naming": lambda: _by_grader(answered, graders, _naming),
            "guesses": lambda: guesses_table(trials, graders),
            "confusion": lambda: confusion_table(trials, graders),
            "ranks": lambda: _ranks(answered),
            "capability": lambda: capabilities(trials, graders),
            "agreement": lambda: agreement_table(answered, graders),
        }
    )
    return Made({name: table for name, table in found.made.items() if not table.empty}, found.absent)


def _contrasts(trials: pd.DataFrame) -> pd.DataFrame:
    """Return contrast and leaning overall (loop and layer missing) and in every cell, for each wording."""
    parts, lacking = [], None
    for question, template, asked in wordings(trials):
        plain = beside(question)
        lacks = NOTHING_BESIDE if plain is None else lacks_plain(asked, question, plain)
        if plain is None or lacks is not None:
            lacking = lacks
            continue
        cell, effects = effects_in_cells(question, plain, asked)
        leaning = leanings(asked, cell=cell, detect=question)
        for table in (overall_contrasts(effects, cell=cell), contrasts_table(effects, cell=cell), leaning):
            noted = table["mean"].isna().map({True: NO_CONCEPT, False: outside_plain(asked, question, plain)})
            parts.append(table.assign(template=template, note=noted.astype("str")))
    if not parts:
        return _nothing(lacking)
    table = tidy(pd.concat(parts, ignore_index=True), ("template",))
    return table[[*(name for name in table if name != "note"), "note"]]


NOTHING_BESIDE = "needs a question about noticing that names a plain question beside it"


NO_CONCEPT = "no concept has all parts of it"


def _sensitivity(answered: pd.DataFrame, grader: str) -> pd.DataFrame:
    """Return d', criterion and AUC of every cell against every control, for each wording.

    There is no AUC against the arm none: read before the first draw, one prompt has one logit for all concepts there.
    """
    parts, lacking = [], None
    for _, template, asked in wordings(answered):
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
    among = answered[
        answered["question"].isin(set(questions_of("choice")) - set(gates()))
        & (answered["expected"] == answered["concept"])
    ]
    rows: list[dict[str, object]] = []
    for question, asked in among.groupby("question"):
        options = len(json.loads(asked["options"].iloc[0]))
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


def capabilities(trials: pd.DataFrame, graders: Sequence[str]) -> pd.DataFrame:
    """Judge by every grader whether the model can answer at all. Raises AbsentError where nothing asked tells."""
    return _by_grader(trials, graders, capability_table)


def _by_grader(
    trials: pd.DataFrame, graders: Sequence[str], make: Callable[[pd.DataFrame, str], pd.DataFrame]
) -> pd.DataFrame:
    """Make a table of each grader's verdicts; without any there is none."""
    parts = [make(trials, grader).assign(grader=grader) for grader in graders]
    parts = [part for part in parts if not part.empty]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _nothing(lacking: str | None) -> pd.DataFrame:
    """Return no rows where a run has no use for the table. Raises AbsentError where it has, and lacks a part."""
    if lacking is not None:
        raise AbsentError(lacking)
    return pd.DataFrame()
