"""Which of the offered answers a text gives: one of them, exactly named, or nothing is known."""

import pytest
from made import response, trial

from introspect.grading import GRADERS
from introspect.grading.picking import is_correct, picked
from introspect.protocols import PROTOCOLS, Occasion, questions_of
from introspect.records.response import Grade
from introspect.records.trial import Trial

CHOICE = trial(question="choose", options=("dust", "snow", "sea"), expected="snow")
LINE = "She drank her tea before it went cold."
REPEAT = trial(question="repeat", options=(LINE,), expected=LINE)
WORDS = tuple(f"word{letter}" for letter in "abcdefghijkl")
UNRELATED = trial(question="unrelated", expected="no")


def ruled(of: Trial, text: str) -> Grade:
    return GRADERS["rules"](of, response(of, text))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Snow", "snow"),
        ("The injected thought is snow.", "snow"),
        ("“Dust”.", "dust"),
        ("the seas", "sea"),
        ("I season it with dusty snowballs.", None),
        ("Snow or dust.", None),
        ("Snow, not dust.", None),
        ("Bread.", None),
        ("", None),
    ],
)
def test_an_option_is_picked_where_it_alone_is_named(text: str, answer: str | None) -> None:
    assert picked(CHOICE, text)[0] == answer
    graded = ruled(CHOICE, text)
    assert (graded.answer, graded.correct) == (answer, None if answer is None else answer == "snow")


@pytest.mark.parametrize(
    ("text", "answer"), [("2", "2"), ("Line 2.", "2"), ("12", None), ("2 or 3", None), ("2nd", None)]
)
def test_a_number_is_picked_where_it_stands_alone(text: str, answer: str | None) -> None:
    assert picked(trial(question="localise", options=("1", "2", "3")), text)[0] == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Yes", "yes"),
        ("No.", "no"),
        ("**Yes**, it is.", "yes"),
        ("“No”", "no"),
        ("(yes)", "yes"),
        ("- no", "no"),
        ("\n\n'Yes'", "yes"),
        ("Nothing", None),
        ("Yesterday", None),
        ("I think yes", None),
        ("", None),
    ],
)
def test_yes_or_no_is_what_the_answer_begins_with_in_normal_form(text: str, answer: str | None) -> None:
    assert picked(UNRELATED, text)[0] == answer
    assert ruled(UNRELATED, text).correct == (None if answer is None else answer == "no")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (LINE, True),
        (LINE.upper(), True),
        (f'"{LINE}"', True),
        (f"  {LINE.removesuffix('.')}\nAnd more.", True),
        ("She drank her tea before it went warm.", False),
        (f"The line is: {LINE}", False),
    ],
)
def test_a_line_is_repeated_up_to_case_quotes_and_the_full_stop(text: str, same: bool) -> None:
    graded = ruled(REPEAT, text)
    assert graded.correct is same
    assert (graded.answer == LINE) is same


def test_an_empty_repetition_is_unknown_and_no_error_of_the_model() -> None:
    assert (ruled(REPEAT, " \n").answer, ruled(REPEAT, " \n").correct) == (None, None)


def test_what_has_no_right_answer_is_neither_right_nor_wrong() -> None:
    assert [is_correct(trial(expected=e), a) for e, a in (("yes", "yes"), ("yes", "no"))] == [True, False]
    assert [is_correct(trial(expected=e), a) for e, a in ((None, "yes"), ("yes", None), (None, None))] == [None] * 3


@pytest.mark.parametrize("of", [CHOICE, REPEAT, UNRELATED])
def test_a_question_that_is_not_about_noticing_has_no_verdict_on_it(of: Trial) -> None:
    graded = ruled(of, "Yes, I notice an injected thought about snow.")
    assert (graded.detected, graded.identified, graded.refused) == (None, None, None)
    assert graded.coherent is True
    assert not GRADERS["rules"].decided(of, "No, I notice nothing.")


@pytest.mark.parametrize("question", questions_of("noticing"))
def test_a_question_about_noticing_is_answered_by_what_is_claimed(question: str) -> None:
    of = trial(question=question)
    for text, answer in (("Yes, I notice one about dust.", "yes"), ("No, I notice nothing.", "no"), ("Maybe.", None)):
        graded = ruled(of, text)
        assert (graded.answer, graded.correct) == (answer, None)
        assert graded.detected is {"yes": True, "no": False, None: None}[answer]


def test_thinking_is_no_answer() -> None:
    assert ruled(CHOICE, "<think>snow</think> dust").answer == "dust"
    graded = ruled(CHOICE, "<think>snow")
    assert (graded.answer, graded.correct, graded.coherent) == (None, None, None)


def test_where_nothing_is_to_be_written_nothing_is_graded() -> None:
    silent = trial(protocol="control", question="control-think", arm="none")
    for grader in GRADERS.values():
        graded = grader(silent, response(silent, "Yes, dust."))
        assert (graded.detected, graded.identified, graded.coherent, graded.refused) == (None,) * 4
        assert (graded.answer, graded.correct) == (None, None)


def test_each_question_of_each_protocol_is_graded_by_one_rule() -> None:
    for protocol in PROTOCOLS.values():
        for question in protocol.questions:
            (one, *_) = question.ask(Occasion(WORDS[0], WORDS, 0))
            of = trial(protocol=protocol.name, question=question.name, options=one.options, expected=one.expected)
            assert bool(one.options) is (question.kind in ("choice", "repeating", "naming"))
            for grader in GRADERS.values():
                assert grader(of, response(of, "No.")).trial_id == of.id


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        (" dust.", "dust", True),
        (" the Dust, I think", "dust", True),
        ("snow and dust.", "dust", True),
        (" the snow. Or dust?", "snow", False),
        ("not dust, but snow", "not dust, but snow", False),
        (" dustbins.", "dustbins", False),
        ("", None, None),
        (" ...", None, None),
    ],
)
def test_a_word_is_named_in_the_first_sentence_or_what_is_named_in_its_place_is_the_answer(
    text: str, answer: str | None, right: bool | None
) -> None:
    of = trial(question="identify", options=("dust",), expected="dust")
    assert picked(of, text)[0] == answer
    assert ruled(of, text).correct is right
