"""Tasks are balanced and the same for everyone; what cannot be used is refused in one line."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from commanded import refused

from introspect.analyses.monitor.items import items_of
from introspect.analyses.monitor.probing import Probing
from introspect.analyses.monitor.tasks import TASKS, TAUGHT, generated, held_out_words
from introspect.errors import InputError

ROWS = [(f"What is {n} + 1?", str(n + 1 + wrong), "no" if wrong else "yes") for n in range(12) for wrong in (0, 1)]


def written(folder: Path, rows: list[tuple[str, str, str]], header: str = "question,answer,correct") -> Path:
    path = folder / "mine.csv"
    path.write_text("\n".join([header, *map(",".join, rows)]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", TASKS)
def test_each_question_comes_with_one_right_and_one_wrong_answer(name: str) -> None:
    items = generated(name, 0)
    assert set(Counter((item.question, item.correct) for item in items).values()) == {1}
    assert Counter(item.correct for item in items)[True] == len(items) / 2
    right = {item.question: item.answer for item in items if item.correct}
    assert all(item.correct == (item.answer == right[item.question]) for item in items)


def test_the_results_of_arithmetic_are_right() -> None:
    for question, answer in TASKS["arithmetic"]():
        first, sign, second = question.removeprefix("What is ").removesuffix("?").split()
        assert int(answer) == (int(first) + int(second) if sign == "+" else int(first) - int(second))


def test_two_hops_lead_from_a_word_over_its_kind() -> None:
    facts = dict(TASKS["two-hop"]())
    assert facts["Who works with the kind of thing that bread is?"] == "cook"
    assert facts["Who works with the kind of thing that cat is?"] == "vet"


def test_a_kind_and_an_answer_alone_tell_nothing_of_two_hops_whose_kind_was_not_seen() -> None:
    items = generated("two-hop", 0)
    right = {item.question: item.answer for item in items if item.correct}
    pairs = sorted({(right[item.question], item.answer) for item in items})
    ones = [pairs.index((right[item.question], item.answer)) for item in items]  # kind and answer, nothing else
    answers = sorted({item.answer for item in items})
    alone = [answers.index(item.answer) for item in items]
    states = np.hstack([np.eye(len(pairs))[ones], np.eye(len(answers))[alone]])
    for grouped, low, high in ((True, 0.4, 0.6), (False, 0.99, 1.0)):
        given = items if grouped else [replace(item, group=item.question) for item in items]
        probing = Probing.of(given, "means", 0)
        right_said = (probing.fit(states).said == probing.labels).mean()
        assert low <= right_said <= high, grouped


@pytest.mark.parametrize("seed", range(5))
def test_within_a_group_of_kinds_every_answer_is_right_and_wrong_for_some(seed: int) -> None:
    items = generated("two-hop", seed)
    for group in {item.group for item in items}:
        right, wrong = ({item.answer for item in items if (item.group, item.correct) == (group, at)} for at in (1, 0))
        assert right == wrong == set(group.split("/"))


def test_the_judgement_set_is_balanced() -> None:
    assert Counter(answer for _, answer in TASKS["judgement"]()) == {"safe": 30, "unsafe": 30}


def test_a_seed_changes_wrong_answers_and_no_question() -> None:
    first, second = generated("two-hop", 0), generated("two-hop", 1)
    assert [item.question for item in first] == [item.question for item in second]
    assert [item.answer for item in first] != [item.answer for item in second]
    assert generated("two-hop", 0) == first


def test_held_out_questions_are_half_of_those_that_are_taught_and_all_others() -> None:
    for name in TASKS:
        questions = {question for question, _ in TASKS[name]()}
        assert held_out_words(name) <= questions
        assert len(held_out_words(name)) == (round(len(questions) / 2) if name in TAUGHT else len(questions))
    assert {item.question for item in items_of("arithmetic", part="held-out")} == held_out_words("arithmetic")


def test_a_file_of_the_users_is_read(tmp_path: Path) -> None:
    items = items_of(str(written(tmp_path, ROWS)))
    assert [(item.question, item.answer, item.correct) for item in items] == [(q, a, c == "yes") for q, a, c in ROWS]


def test_a_group_keeps_different_questions_together(tmp_path: Path) -> None:
    rows = [(*row, f"pair {n // 2}") for n, row in enumerate(ROWS)]
    items = items_of(str(written(tmp_path, rows, "question,answer,correct,group")))  # type: ignore[arg-type]
    assert {item.group for item in items} == {f"pair {n}" for n in range(12)}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([*ROWS, ("Is it so?", "perhaps", "maybe")], "line 26: correct is 'maybe'; it must be yes or no"),
        (ROWS[:8], "4 questions; monitors need at least 10"),
        ([row for row in ROWS if row[2] == "yes"], "0 items that are not; monitors need at least 10"),
        ([row for row in ROWS if row[2] == "no"], "0 items that are correct; monitors need at least 10"),
    ],
)
def test_items_that_cannot_be_used_are_refused(tmp_path: Path, rows: list[tuple[str, str, str]], words: str) -> None:
    assert words in refused("monitor", "no/such/model", "--task", written(tmp_path, rows))


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    assert "no column 'correct'" in refused("monitor", "--task", written(tmp_path, ROWS, "question,answer,right"))


def test_an_unknown_task_is_refused() -> None:
    assert "unknown task 'sums'; known: arithmetic, two-hop, judgement" in refused("monitor", "--task", "sums")


def test_a_data_set_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("introspect.analyses.monitor.items.find_spec", lambda _: None)
    assert "the library datasets is not installed; pip install" in refused("monitor", "--task", "hf:someone/sums")


class Rows(list[dict[str, Any]]):
    """What the library gives: rows, and the names of the columns."""

    @property
    def column_names(self) -> list[str]:
        return list(self[0])


def test_a_data_set_is_read_by_its_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    library = ModuleType("datasets")

    def load_dataset(name: str, split: str) -> Rows:
        asked.append((name, split))
        if name == "someone/else":
            return Rows([{"question": "q", "answer": "a"}])
        return Rows({"question": q, "answer": a, "correct": c == "yes"} for q, a, c in ROWS)

    library.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", library)
    monkeypatch.setattr("introspect.analyses.monitor.items.find_spec", lambda _: True)
    assert [item.correct for item in items_of("hf:someone/sums:test")] == [c == "yes" for *_, c in ROWS]
    assert asked == [("someone/sums", "test")]
    with pytest.raises(InputError, match="no column 'correct'"):
        items_of("hf:someone/else")
    monkeypatch.setattr(library, "load_dataset", lambda name, **_: {}[name])
    with pytest.raises(InputError, match="cannot be loaded: KeyError"):
        items_of("hf:someone/nothing")
