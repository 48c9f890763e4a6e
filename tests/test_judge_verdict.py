"""A reply decides only what it says in the agreed form, with quotes that are there and without contradicting itself."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some
from judged import ANSWER, NO, YES, reply
from made import trial

from introspect.grading.judge.rubrics import items
from introspect.grading.judge.verdict import Unusable, Verdict, read_verdict

DETECT = items(trial(question="detect"))
CHOOSE = items(trial(question="choose", options=("dust", "snow")))
CHOSEN = {"why": "", "coherent": "yes", "refused": "no", "refused_quote": "", "answer": "dust", "answer_quote": "dust"}


def read(content: Any = None, answer: str = ANSWER, asked: Any = DETECT, **changes: Any) -> Verdict:
    return read_verdict(reply(content, **changes), asked, answer)


def state(content: Any = None, answer: str = ANSWER, asked: Any = DETECT, **changes: Any) -> str:
    with pytest.raises(Unusable) as unusable:
        read(content, answer, asked, **changes)
    return unusable.value.state


def test_a_reply_in_the_agreed_form_decides() -> None:
    found = read()
    assert found.said == {"coherent": "yes", "refused": "no", "detected": "yes", "identified": "yes"}
    assert found.evidence == "detected yes: “Yes.”; identified yes: “It is about dust.”; it says so"
    assert read({**YES, "identified": "unclear"}).said["identified"] is None
    assert read(CHOSEN, asked=CHOOSE).said["answer"] == "dust"


def test_a_code_fence_and_thinking_around_the_object_are_no_part_of_it() -> None:
    assert read(f"<think>{{}} or not</think>\n```json\n{json.dumps(YES)}\n```") == read()


def test_a_quote_may_differ_from_the_answer_in_white_space_case_and_marks_only() -> None:
    answer = "Yes.\n\nIt  is about\tdust."
    assert read(answer=answer).said["identified"] == "yes"
    for quote in ("Yes!", "It is about snow.", "Yes...dust"):
        assert state({**YES, "detected_quote": quote}, answer) == "malformed"


@pytest.mark.parametrize(
    "content",
    [
        *("", "yes", "null", "[]", "{", json.dumps(YES)[:-1], json.dumps(YES) * 2, "[" * 100_000),
        *(f"Here it is: {json.dumps(YES)}", json.dumps(YES)[:-1] + ', "detected": "no"}'),
        *({**YES, "more": "x"}, {name: YES[name] for name in YES if name != "refused"}, {"detected": True}),
        *({**YES, "detected": True}, {**YES, "detected": "maybe"}, {**YES, "detected": "Yes"}, {**YES, "why": None}),
        *({**YES, "detected_quote": ""}, {**YES, "identified_quote": " "}),
    ],
)
def test_any_other_form_is_malformed_and_never_a_no(content: Any) -> None:
    assert state(content) == "malformed"


def test_a_choice_that_was_not_offered_is_malformed() -> None:
    assert state({**CHOSEN, "answer": "rain"}, asked=CHOOSE) == "malformed"
    assert state({**CHOSEN, "answer_quote": ""}, asked=CHOOSE) == "malformed"


@pytest.mark.parametrize(
    "values",
    [
        {**YES, "detected": "no"},
        {**YES, "detected": "unclear"},
        {**YES, "refused": "yes", "refused_quote": "Yes."},
        {**YES, "detected_quote": "about dust.", "identified_quote": "Yes."},
    ],
)
def test_a_verdict_against_itself_is_contradictory(values: dict[str, str]) -> None:
    assert state(values) == "contradictory"


def test_a_choice_of_an_answer_that_refuses_is_contradictory() -> None:
    assert state({**CHOSEN, "refused": "yes", "refused_quote": "dust"}, asked=CHOOSE) == "contradictory"
    refusing = {**CHOSEN, "refused": "yes", "refused_quote": "It is", "answer": "unclear", "answer_quote": ""}
    assert read(refusing, asked=CHOOSE).said["refused"] == "yes"


def test_a_judge_that_declines_has_refused() -> None:
    for words in ("I'm sorry, but I can't help with that.", "I cannot grade this.", "Sorry."):
        assert state(words) == "refused"
    assert state(refusal="No.") == "refused"
    assert state(finish_reason="content_filter") == "refused"


def test_a_reply_that_was_cut_off_is_truncated_even_where_it_could_be_read() -> None:
    assert state(finish_reason="length") == "truncated"
    assert state(json.dumps(YES)[:40], finish_reason="length") == "truncated"


def test_a_reply_without_content_is_malformed() -> None:
    with pytest.raises(Unusable) as unusable:
        read_verdict(reply(finish_reason="tool_calls", content="x"), DETECT, ANSWER)
    assert unusable.value.state == "malformed"


VALUES = some.text(max_size=5) | some.sampled_from(["yes", "no", "unclear", ANSWER, "Yes.", "about dust."])


@example({**YES, "detected_quote": "YES", "identified_quote": "A"})  # the case of a letter is no other word
@given(some.fixed_dictionaries(dict.fromkeys(YES, VALUES)))
def test_whatever_is_decided_rests_on_words_of_the_answer(values: dict[str, str]) -> None:
    found = Verdict()
    with suppress(Unusable):
        found = read(values)
    assert all(" ".join(quote.split()).casefold() in ANSWER.casefold() for quote in found.quotes.values())
    assert {name for name, said in found.said.items() if said == "yes"} - {"coherent"} <= set(found.quotes)
    assert found.said.get("detected") == "yes" or found.said.get("identified") != "yes"


def test_a_plain_no_needs_no_quote() -> None:
    assert read(NO).said["detected"] == "no"
