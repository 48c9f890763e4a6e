"""The share of answers that echo their prompt, and of those that are nothing but thinking."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made import grade, new_store, response, trial

from introspect.prompts.echo import LONG, SHORT
from introspect.records.response import Response
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import summaries
from introspect.results.tables.rates.echoes import echo_table, unended_said, with_echoes
from introspect.results.tables.trials.trials import cells_table


def stored(folder: Path, *runs: int | None, **changes: object) -> Store:
    """Store an answer for each length of the longest run, half of them in the arm none."""
    trials = [trial(repeat=k, **changes) for k in range(len(runs))]
    store = new_store(folder)
    store.add(
        [(one, replace(response(one), echo=run)) for one, run in zip(trials, runs, strict=True)], map(grade, trials)
    )
    return store


def test_an_answer_echoes_from_a_long_run_on(tmp_path: Path) -> None:
    with stored(tmp_path / "run", 0, SHORT - 1, LONG, LONG + 5) as store:
        (row,) = echo_table(store, cells_table(store)).to_dict("records")
    assert (row["n"], row["echoes"], row["share"], row["words"]) == (4, 2, 0.5, (SHORT - 1 + 2 * LONG + 5) / 4)
    assert 0 < row["low"] < 0.5 < row["high"] < 1


def test_a_short_run_echoes_where_it_is_half_of_the_answer(tmp_path: Path) -> None:
    with new_store(tmp_path / "run") as store:
        texts = ["I notice an injected thought.", "Yes.", "I notice an injected thought, " + "more and " * 4 + "more."]
        trials = [trial(repeat=k) for k in range(3)]
        runs = [5, 1, 5]
        answers = [replace(response(one, text), echo=run) for one, text, run in zip(trials, texts, runs, strict=True)]
        store.add(zip(trials, answers, strict=True), map(grade, trials))
        assert list(echo_table(store, cells_table(store))["echoes"]) == [1]


def test_what_was_not_counted_and_lines_to_be_repeated_are_left_out(tmp_path: Path) -> None:
    with stored(tmp_path / "old", None, None) as store:
        assert echo_table(store, cells_table(store)).empty
    repeated = {"question": "repeat", "options": ("A line.",), "protocol": "thought-or-text"}
    with stored(tmp_path / "repeat", 9, **repeated) as store:
        assert echo_table(store, cells_table(store)).empty


def test_the_gate_has_the_share_of_what_is_said_with_nothing_injected(tmp_path: Path) -> None:
    with new_store(tmp_path / "run") as store:
        plain = [trial(question="unrelated", arm="none", injection=None, repeat=k) for k in range(4)]
        asked = [trial(arm="none", injection=None, repeat=k) for k in range(4)]
        runs = [LONG] * 4 + [LONG, 0, 0, 0]
        answers = [(one, replace(response(one), echo=run)) for one, run in zip(plain + asked, runs, strict=True)]
        store.add(answers, map(grade, plain + asked))
        made = summaries(store).made
    assert list(made["capability"]["echo"]) == [0.25]
    assert set(made["echo"]["question"]) == {"unrelated", "detect"}
    assert "echo" not in with_echoes(made["capability"].drop(columns="echo"), pd.DataFrame())


@pytest.mark.parametrize(("unended", "said"), [(1, False), (2, True)])
def test_it_is_said_when_more_than_a_tenth_of_the_answers_end_inside_their_thinking(
    tmp_path: Path, unended: int, said: bool
) -> None:
    def answer(to: Response, number: int) -> Response:
        if number < unended:
            return replace(to, text="\n", thinking="Do I", finish_reason="length")
        return replace(to, text="" if number == 9 else "No.", thinking="I do not.")

    trials = [trial(repeat=k) for k in range(10)]
    with new_store(tmp_path / "run") as store:
        store.add([(one, answer(response(one), k)) for k, one in enumerate(trials)])
        line = unended_said(store)
    assert (line is not None) is said
    assert line is None or "2 of 10 answers end inside their thinking" in line
    assert line is None or "--max-new-tokens" in line
