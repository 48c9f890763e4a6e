"""The headline, word for word: for every sign, every share of unknown answers, and a model that cannot answer."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from made import grade, injection, new_store, plain_pair, response, trial

from introspect.records.trial import Arm, Trial
from introspect.report.bounds import VerdictCounts, against_chance, between_two
from introspect.report.findings import Findings
from introspect.report.headline import headline

WORDS = ("dust", "snow", "rain", "salt", "moss", "iron")
Verdict = bool | None
NOTICED = "On “detect” (lindsey), a thought was said to be noticed with: concept vector"
MOVED = (
    "On “lindsey”, the concept's vector moved logit(yes) \N{MINUS SIGN} logit(no) by {} further towards yes than "
    "random directions of the same norm did, beyond what it does to plain questions with the same logit(yes) "
    "\N{MINUS SIGN} logit(no) before the injection. {} was ahead, logit(yes) \N{MINUS SIGN} logit(no) being {} on "
    "average."
)


def asked(arm: Arm, question: str = "detect", **changes: object) -> list[Trial]:
    return [
        trial(concept=word, arm=arm, question=question, injection=None if arm == "none" else injection(), **changes)
        for word in WORDS
    ]


def said(folder: Path, injected: Sequence[Verdict], none: Sequence[Verdict]) -> list[str]:
    """Return the headline of a run with these verdicts on six concepts, and nothing beside the question."""
    pairs = [*zip(asked("injected"), injected, strict=True), *zip(asked("none"), none, strict=True)]
    with new_store(folder, {"model": "m"}) as store:
        store.add([(one, response(one)) for one, _ in pairs], [grade(one, verdict) for one, verdict in pairs])
        return [sentence for sentence in headline(Findings(store)) if "noticed with" in sentence]


YES, NO, UNKNOWN = [True] * 6, [False] * 6, [None] * 6


@pytest.mark.parametrize(
    ("injected", "none", "sentence"),
    [
        (
            YES,
            NO,
            f"{NOTICED} 6 of 6 (100.0%; 95% interval 47.6% to 100.0%); "
            "no injection 0 of 6 (0.0%; 95% interval 0.0% to 52.4%).",
        ),
        (
            [*YES[:5], None],
            NO,
            f"{NOTICED} 5 of 5 (100.0%; 95% interval 39.3% to 100.0%, 1 answer unknown, 16.7%); "
            "no injection 0 of 6 (0.0%; 95% interval 0.0% to 52.4%). Unknown are 16.7% of the answers with concept "
            "vector and 0.0% of those with no injection: if every unknown answer were yes, the rates would be 100.0% "
            "and 0.0%; if every one were no, 83.3% and 0.0%; whatever they say, the rate with concept vector is the "
            "higher one.",
        ),
        (
            [False, False, *UNKNOWN[:4]],
            [*YES[:5], None],
            f"{NOTICED} 0 of 2 (0.0%; 95% interval 0.0% to 98.8%, 4 answers unknown, 66.7%); "
            "no injection 5 of 5 (100.0%; 95% interval 39.3% to 100.0%, 1 answer unknown, 16.7%). Unknown are 66.7% of "
            "the answers with concept vector and 16.7% of those with no injection: if every unknown answer were yes, "
            "the rates would be 66.7% and 100.0%; if every one were no, 0.0% and 83.3%; whatever they say, the rate "
            "with concept vector is the lower one.",
        ),
        (
            [True, False, *UNKNOWN[:4]],
            [False, *UNKNOWN[:5]],
            f"{NOTICED} 1 of 2 (50.0%; 95% interval 0.3% to 99.7%, 4 answers unknown, 66.7%); "
            "no injection 0 of 1 (0.0%; 95% interval 0.0% to 99.4%, 5 answers unknown, 83.3%). Unknown are 66.7% of "
            "the answers with concept vector and 83.3% of those with no injection: if every unknown answer were yes, "
            "the rates would be 83.3% and 83.3%; if every one were no, 16.7% and 0.0%; they can turn which of the two "
            "is the higher.",
        ),
        (
            UNKNOWN,
            UNKNOWN,
            f"{NOTICED} no answer that can be read, 6 answers unknown, 100.0%; no injection no answer that can be "
            "read, 6 answers unknown, 100.0%. Unknown are 100.0% of the answers with concept vector and 100.0% of "
            "those with no injection: if every unknown answer were yes, the rates would be 100.0% and 100.0%; if every "
            "one were no, 0.0% and 0.0%; they can turn which of the two is the higher.",
        ),
    ],
    ids=["none unknown", "few", "many, lower", "many, either way", "all"],
)
def test_unknown_answers_stand_beside_the_rate_with_where_they_point(
    tmp_path: Path, injected: list[Verdict], none: list[Verdict], sentence: str
) -> None:
    assert said(tmp_path, injected, none) == [sentence]


M = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("shift", "moved", "ahead"),
    [
        (2.0, "2.00 (95% interval 2.00 to 2.00; p = 0.031; 6 concepts)", ("Yes", "1.50 (1.50 to 1.50)")),
        (
            -2.0,
            f"{M}2.00 (95% interval {M}2.00 to {M}2.00; p = 0.031; 6 concepts)",
            ("No", f"{M}2.50 ({M}2.50 to {M}2.50)"),
        ),
        (0.0, "0 (95% interval 0 to 0; p = 1; 6 concepts)", ("No", f"{M}0.500 ({M}0.500 to {M}0.500)")),
        (None, "an amount that is missing (no concept has all its parts)", None),
    ],
    ids=["up", "down", "not at all", "missing"],
)
def test_the_contrast_is_said_with_its_sign(
    tmp_path: Path, shift: float | None, moved: str, ahead: tuple[str, str] | None
) -> None:
    amounts = {"injected": shift, "random": 0.0, "none": 0.0}
    arms: tuple[Arm, ...] = ("injected", "none", "random")
    plain = [
        (replace(one, **fields), clean)
        for arm in arms
        for place, one in enumerate(asked(arm))
        for number in (2 * place, 2 * place + 1)
        for fields, clean in plain_pair(number)
    ]
    noticing = [(one, amounts[arm]) for arm in arms for one in asked(arm)]
    with new_store(tmp_path, {"model": "m"}) as store:
        for one, at in [*plain, *noticing]:
            if at is None:
                store.add_errors([(one, "failed")])
            else:
                moved_to = at if one.expected else at - 0.5
                answer, verdict = response(one, difference=moved_to), grade(one, False, answer="no", correct=True)
                store.add([(one, answer)], [verdict])
        first, *_ = headline(Findings(store))
    expected = MOVED.format(moved, *(ahead or ("", "")))
    assert first == (expected if ahead else expected[: expected.index("  was ahead")])


def test_a_model_that_cannot_answer_has_no_rate_in_the_headline(tmp_path: Path) -> None:
    plain = asked("none", "unrelated", expected="yes")
    answers = [True, None, None, None, None, None]
    with new_store(tmp_path, {"model": "m"}) as store:
        given = [*zip(plain, answers, strict=True), *((one, True) for one in asked("injected"))]
        store.add(
            [(one, response(one)) for one, _ in given],
            [replace(grade(one, None if one in plain else right), correct=right) for one, right in given],
        )
        only = headline(Findings(store))
    assert only == [
        "Run for 4 loops the model cannot answer yes or no: with nothing injected it has 90.0% of its probability on "
        "the answers (floor 50.0%) and 1 of 6 answers right (floor 75.0%), 5 unknown, so that no rate of such "
        "questions is a finding."
    ]


@pytest.mark.parametrize(
    ("verdicts", "where"),
    [
        (VerdictCounts(9, 9, 1), "that is above chance whatever they say"),
        (VerdictCounts(0, 9, 1), "that is below chance whatever they say"),
        (VerdictCounts(1, 4, 6), "that is on either side of chance"),
        (VerdictCounts(0, 0, 3), "that is on either side of chance"),
    ],
)
def test_a_choice_is_held_against_chance_at_both_bounds(verdicts: VerdictCounts, where: str) -> None:
    assert where in against_chance(verdicts, 0.25)


def test_without_unknown_answers_nothing_is_left_open() -> None:
    assert between_two(VerdictCounts(1, 2, 0), VerdictCounts(0, 2, 0), ("a", "b")) == ""
    assert between_two(VerdictCounts(1, 2, 1), VerdictCounts(0, 0, 0), ("a", "b")) == ""
    assert against_chance(VerdictCounts(1, 2, 0), 0.5) == ""
