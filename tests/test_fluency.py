"""Theorems about coherence by the model: the floor, the column, and what a gate makes unknown."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made import grade, new_store, response, trial

from introspect.records.trial import Trial
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import make_tables
from introspect.results.tables.trials.fluency import FEWEST_CLEAN, floor_of
from introspect.results.tables.trials.narrow_trials import narrow_trials
from introspect.results.tables.trials.trials import trials_table


def clean_answers(n: int, **changes: object) -> list[tuple[Trial, float]]:
    return [(trial(arm="none", repeat=repeat, **changes), -1.0 - 0.01 * repeat) for repeat in range(n)]


def filled(folder: Path, answers: list[tuple[Trial, float | None]]) -> Store:
    store = new_store(folder)
    pairs = [(one, replace(response(one), clean_logprob=clean)) for one, clean in answers]
    store.add(pairs, [grade(one) for one, _ in pairs])
    return store


def test_the_floor_lies_twice_as_far_below_the_middle_as_the_tail_does() -> None:
    clean = pd.Series([-1.0, -1.1, -1.2, -1.3, -1.4] * 5)
    assert floor_of(clean) == pytest.approx(-1.2 - 2 * (1.4 - 1.2))


def test_nearly_all_answers_without_injection_pass_and_salad_does_not(tmp_path: Path) -> None:
    fluent, salad = trial(repeat=1), trial(repeat=2)
    with filled(tmp_path, [*clean_answers(40), (fluent, -1.3), (salad, -6.0)]) as store:
        table = trials_table(store).set_index("trial")["coherent_by_model"]
    assert table[fluent.id]
    assert not table[salad.id]
    assert table.drop(salad.id).all()


@pytest.mark.parametrize(
    "answers",
    [
        [*clean_answers(FEWEST_CLEAN - 1), (trial(), -6.0)],
        [*clean_answers(40, question="unrelated"), (trial(), -6.0)],
        [*clean_answers(40, n_loops=2), (trial(), -6.0)],
        [*clean_answers(40), (trial(), None)],
    ],
    ids=["too few", "another question", "other loops", "not measured"],
)
def test_where_there_is_nothing_to_hold_an_answer_against_nothing_is_known_and_no_verdict_is_lost(
    tmp_path: Path, answers: list[tuple[Trial, float | None]]
) -> None:
    with filled(tmp_path, answers) as store:
        table = trials_table(store).set_index("trial")
        gated = make_tables(store, "model")["rates"]
    assert pd.isna(table.loc[trial().id, "coherent_by_model"])
    injected = gated[(gated["arm"] == "injected") & (gated["measure"] == "detected")]
    assert injected[["k", "n"]].to_numpy().tolist() == [[1, 1]]


def test_a_gate_makes_verdicts_on_salad_unknown_and_nothing_else(tmp_path: Path) -> None:
    fluent, salad = trial(repeat=1), trial(repeat=2)
    with filled(tmp_path, [*clean_answers(40), (fluent, -1.3), (salad, -6.0)]) as store:
        by_rules, by_model = (make_tables(store, gate)["rates"] for gate in ("rules", "model"))
        narrow = narrow_trials(store, "model")
    shown = ["k", "n", "unknown"]
    for measure, before, after in (("detected", [2, 2, 0], [1, 1, 1]), ("coherent_by_model", [1, 2, 0], [1, 2, 0])):
        for table, expected in ((by_rules, before), (by_model, after)):
            row = table[(table["arm"] == "injected") & (table["measure"] == measure)]
            assert row[shown].to_numpy().tolist() == [expected], (measure, expected)
    assert narrow.loc[narrow["arm"] == "injected", "rules_detected"].isna().sum() == 1
    assert narrow.loc[narrow["arm"] == "none", "rules_detected"].notna().all()
    assert set(by_model["coherence"]) == {"model"}
    assert "coherence" not in by_rules


def test_a_run_in_which_nothing_was_measured_has_no_such_rate(tmp_path: Path) -> None:
    with filled(tmp_path, [(one, None) for one, _ in clean_answers(20)]) as store:
        assert "coherent_by_model" not in set(make_tables(store)["rates"]["measure"])
