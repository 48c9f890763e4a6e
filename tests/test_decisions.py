"""Theorems about answers that a grader ends early: they are the beginnings of the whole ones."""

from dataclasses import replace

import pytest

from introspect.errors import InputError
from introspect.grading import GRADERS, deciders, decision_of
from introspect.injection.engine.engine import Engine
from introspect.records.response import Response
from introspect.records.trial import Sampling, Trial
from tests.injected import Bench, bench, responses
from tests.made import trial


def engine_with(on: Bench, decides: object) -> Engine:
    return Engine(on.engine.tap, on.prompts, on.vectors, {"test 1": decides})  # type: ignore[dict-item]


def ended_early(made: list[Trial]) -> list[Trial]:
    return [replace(one, sampling=replace(one.sampling, decided_by="test 1")) for one in made]


def test_an_answer_ends_with_the_first_token_that_decides_and_is_otherwise_the_same() -> None:
    on = bench()
    whole = on.mixed(seed=3, n=40)
    long_enough = engine_with(on, lambda one, text: len(text) >= 2 + one.seed % 7)
    full, cut = responses(on.engine.run(whole, 7)), responses(long_enough.run(ended_early(whole), 7))
    for long, short, one in zip(full, cut, whole, strict=True):
        assert long.token_ids[: len(short.token_ids)] == short.token_ids
        assert (short.finish_reason == "decided") == (short.token_ids != long.token_ids or decides(one, short))
        assert [read.loop for read in short.readouts] == [read.loop for read in long.readouts]
    assert {"decided", "stop", "length"} & {short.finish_reason for short in cut} >= {"decided"}


def decides(one: Trial, short: Response) -> bool:
    return short.finish_reason == "decided" and len(short.text) >= 2 + one.seed % 7


def test_rows_that_are_decided_leave_their_places_to_others() -> None:
    on = bench()
    on.looped.end_of_turn = ()
    made = [on.trial((1, 0), seed=seed, sampling=Sampling(max_new_tokens=9)) for seed in range(12)]
    at_once = engine_with(on, lambda *_: True)
    assert all(len(found.token_ids) == 1 for found in responses(at_once.run(ended_early(made), 3)))
    sites, prompt, rest = 6, 12, 6
    assert at_once.work.done == at_once.work.least == prompt * sites + 12 * rest * 3


def test_a_decision_that_is_not_known_is_refused() -> None:
    on = bench()
    with pytest.raises(InputError, match="rules 0"):
        on.engine.run([on.trial((1, 0), sampling=Sampling(decided_by="rules 0"))])


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("", False),
        ("No", False),
        ("No, I notice nothing", False),
        ("No, I notice nothing.", True),
        ("Yes.", False),
        ("Yes, I notice a thought.", False),
        ("Yes, I notice a thought about bread.", True),
        ("Yes, I notice a thought about bread", False),
        ("Perhaps. I am not sure.", False),
        ("Hm. It is hard to say.", False),
        ('"No, I notice nothing."', True),
    ],
)
def test_the_rules_are_settled_by_a_sentence_that_denies_or_that_claims_and_names(text: str, settled: bool) -> None:
    assert GRADERS["rules"].decided(trial(concept="bread"), text) == settled


def test_the_logits_need_no_answer() -> None:
    assert GRADERS["logits"].decided(trial(), "")


def test_a_decision_carries_the_version_of_its_grader() -> None:
    assert decision_of("rules") == f"rules {GRADERS['rules'].version}"
    assert set(deciders()) == {decision_of(name) for name in GRADERS}
