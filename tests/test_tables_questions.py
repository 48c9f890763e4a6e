"""Questions of different kinds in one run: each is counted by what it asks, and nulls of the mute are not shown."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made import grade, new_store, response, trial, trial_at

from introspect.records.response import Grade, Response
from introspect.records.trial import Trial
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import make_tables, trials_table
from introspect.results.tables.rates.rates import rates

CONCEPTS = ("dust", "sea", "oak", "tin", "rye", "ash")


def answered(store: Store, trials: list[Trial], *, correct: bool | None, mass: float = 0.9) -> None:
    """Store trials with a plain yes that is right or not, so much probability being on yes and no."""
    answers = [response(one, "Yes.") for one in trials]
    heavy = [replace(one, readouts=tuple(replace(r, mass=mass) for r in one.readouts)) for one in answers]
    answer = None if correct is None else "yes"
    store.add(zip(trials, heavy, strict=True), [grade(one, None, answer=answer, correct=correct) for one in trials])


def plain(**changes: object) -> list[Trial]:
    return [trial(question="unrelated", expected="yes", arm="none", concept=word, **changes) for word in CONCEPTS]


def noticing(**changes: object) -> list[Trial]:
    return [trial(arm="none", concept=word, **changes) for word in CONCEPTS]


def by_question(table: pd.DataFrame) -> dict[str, set[str]]:
    return {question: set(part["measure"]) for question, part in table.groupby("question")}


def test_noticing_is_not_asked_of_plain_questions_nor_correctness_of_noticing(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        answered(store, [*noticing(), *plain()], correct=True)
        table = rates(trials_table(store))
    assert by_question(table) == {
        "detect": {"detected", "identified", "both", "coherent", "refused"},
        "unrelated": {"coherent", "correct"},
    }
    row = table[table["measure"] == "correct"].iloc[0]
    assert (row["k"], row["n"], row["rate"]) == (6, 6, 1.0)


def test_what_is_unknown_bounds_the_rate(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        answered(store, plain()[:3], correct=True)
        answered(store, plain()[3:5], correct=None)
        answered(store, plain()[5:], correct=False)
        table = rates(trials_table(store))
    row = table[table["measure"] == "correct"].iloc[0]
    assert (row["rate"], row["if_no"], row["if_yes"], row["unknown"]) == (3 / 4, 3 / 6, 5 / 6, 2)


def test_a_model_that_cannot_answer_plain_questions_has_no_rate_of_noticing_and_keeps_its_counts(
    tmp_path: Path,
) -> None:
    for name, correct, mass in (("able", True, 0.9), ("wrong", False, 0.9), ("mute", True, 0.1)):
        with new_store(tmp_path / name) as store:
            answered(store, [*noticing(), *plain()], correct=correct, mass=mass)
            table = make_tables(store)["rates"]
        refused = table[(table["question"] == "detect") & (table["measure"] == "refused")].iloc[0]
        assert (refused["k"], refused["n"]) == (0, 6)
        assert pd.isna(refused["rate"]) == (name != "able")
        assert (refused["note"] == "cannot answer") == (name != "able")
        own = table[(table["question"] == "unrelated") & (table["measure"] == "correct")].iloc[0]
        assert own["rate"] == (1.0 if correct else 0.0)


def test_the_gate_is_that_of_the_loops_run(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        answered(store, [*noticing(n_loops=1), *plain(n_loops=1)], correct=False)
        answered(store, [*noticing(n_loops=4), *plain(n_loops=4)], correct=True)
        table = make_tables(store)["rates"]
    refused = table[(table["question"] == "detect") & (table["measure"] == "refused")].set_index("n_loops")
    assert refused["rate"].isna().to_dict() == {1: True, 4: False}


def test_options_have_a_gate_of_their_own_in_the_question_that_the_model_does_best(tmp_path: Path) -> None:
    choose = {"protocol": "choose", "question": "choose", "template": "choose", "options": ("a", "b", "c", "d")}
    simple = {**choose, "question": "unrelated-choice", "template": "unrelated-choice", "expected": "b"}
    for name, denies, right, able in (
        ("honest", True, True, True),
        ("format", False, False, True),
        ("mute", True, False, False),
    ):
        with new_store(tmp_path / name) as store:
            rows = []
            for place in range(6):
                about = {"concept": f"c{place}"}
                rows.append((trial_at(0, 0, **choose, expected="a", **about), "a", True))
                said = None if denies else "c"
                rows.append((trial(arm="none", **choose, expected="a", **about), said, None if denies else False))
                rows.append((trial(arm="none", **simple, **about), "b" if right else None, True if right else None))
            grades = [Grade(one.id, "rules", "1", None, None, True, False, "", a, correct=c) for one, a, c in rows]
            store.add([(one, mass_on_options(one, 0.9)) for one, *_ in rows], grades)
            tables = make_tables(store)
        gate = tables["capability"].set_index("answers").loc["options"]
        assert gate["question"] == ("choose" if name == "format" else gate["question"])
        assert (gate["verdict"] == "can answer") == able, name
        assert gate["mass"] == pytest.approx(0.9)
        own = tables["rates"].query("question == 'choose' and arm == 'injected' and measure == 'correct'").iloc[0]
        assert pd.isna(own["rate"]) != able


def mass_on_options(one: Trial, mass: float) -> Response:
    """Answer with so much probability on the first tokens of the options together, most of it on the first."""
    shares = [mass * share for share in (0.7, 0.15, 0.1, 0.05)]
    made = response(one)
    return replace(made, readouts=tuple(replace(r, options=tuple(map(math.log, shares))) for r in made.readouts))


def test_a_line_that_is_not_repeated_without_an_injection_gates_repeating(tmp_path: Path) -> None:
    line = {"protocol": "thought-or-text", "question": "repeat", "template": "repeat", "options": ("She sat.",)}
    for name, right in (("able", True), ("unable", False)):
        with new_store(tmp_path / name) as store:
            trials = [trial(arm="none", **line, expected="She sat.", concept=f"c{place}") for place in range(5)]
            trials += [trial_at(0, 0, **line, expected="She sat.", concept=f"c{place}") for place in range(5)]
            grades = [Grade(one.id, "rules", "1", None, None, True, False, "", "x", correct=right) for one in trials]
            store.add([(one, response(one)) for one in trials], grades)
            tables = make_tables(store)
        assert (
            tables["capability"].set_index("answers").loc["repeat", "verdict"]
            == ("can" if right else "cannot") + " answer"
        )
        assert pd.isna(tables["capability"]["mass"]).all()
        own = tables["rates"].query("arm == 'injected' and measure == 'correct'").iloc[0]
        assert pd.isna(own["rate"]) != right
