"""Time to detection: the tokens after which a grader of words first finds the claim, and nothing without one."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from made import response, trial

from introspect.grading import GRADERS
from introspect.grading.detection_time import graded
from introspect.prompts.turns import Turn, Turns
from introspect.records.response import Response

RULES, LOGITS = GRADERS["rules"], GRADERS["logits"]


class Words(Turns):
    """Turns numbers into an answer: every token is a word of the one below."""

    def __init__(self) -> None:
        """Need no tokenizer."""

    def read(self, tokens: Sequence[int]) -> Turn:
        """Take all for the answer."""
        return Turn("", self.decode(tokens), "")

    def decode(self, tokens: Sequence[int]) -> str:
        """Put the words together."""
        return " ".join(WORDS[token] for token in tokens)


WORDS = ["Well", ",", "let", "me", "see", ".", "Yes", ",", "I", "notice", "a", "thought", "about", "dust", "."]
TURNS = Words()


def said(first: int, last: int) -> Response:
    tokens = tuple(range(first, last))
    return replace(response(trial()), text=TURNS.decode(tokens), token_ids=tokens)


@pytest.mark.parametrize(("first", "tokens"), [(0, 7), (6, 1), (3, 4)])
def test_the_tokens_are_counted_up_to_the_claim(first: int, tokens: int) -> None:
    grade = graded(RULES, trial(), said(first, len(WORDS)), TURNS)
    assert (grade.detected, grade.tokens) == (True, tokens)


def test_a_claim_that_only_the_last_token_makes_takes_all_of_them() -> None:
    assert graded(RULES, trial(), said(0, 7), TURNS).tokens == 7


def test_everything_else_of_the_grade_stays_as_it_is() -> None:
    answer = said(0, len(WORDS))
    assert replace(graded(RULES, trial(), answer, TURNS), tokens=None) == RULES(trial(), answer)


def test_without_a_claim_without_the_tokenizer_and_without_words_there_is_no_time() -> None:
    answer = said(0, len(WORDS))
    assert graded(RULES, trial(), said(0, 6), TURNS).tokens is None
    assert graded(RULES, trial(), answer, None).tokens is None
    assert graded(LOGITS, trial(), answer, TURNS).detected is True
    assert graded(LOGITS, trial(), answer, TURNS).tokens is None


class Thinking(Words):
    """The same, where the first six tokens are thinking that claims as much."""

    def read(self, tokens: Sequence[int]) -> Turn:
        """Take what comes behind for the answer."""
        return Turn("Yes, I notice a thought.", self.decode(tokens[6:]), "")


def test_a_claim_in_the_thinking_is_none_and_its_tokens_count_until_the_claim_of_the_answer() -> None:
    answer = said(0, len(WORDS))
    assert graded(RULES, trial(), answer, Thinking()).tokens == 7
    assert graded(RULES, trial(), said(0, 6), Thinking()).detected is None
