"""The rule by which a sentence is dropped for a concept that occurs in it, and what the shipped material is made of."""

import re

import pytest

from introspect.protocols.material import Sentence, free_of, instructions, plain_questions, sentences


def dropped(concept: str, text: str) -> bool:
    return not free_of(concept, (Sentence("it", text, abstract=False),))


@pytest.mark.parametrize("form", [str, str.upper, str.capitalize, "{}s".format])
def test_a_sentence_is_dropped_for_every_word_in_it(form: object) -> None:
    for sentence in sentences():
        for word in re.findall(r"[a-z]+", sentence.text.lower()):
            assert sentence not in free_of(form(word), sentences()), word  # type: ignore[operator]  # one of four functions


@pytest.mark.parametrize(
    ("concept", "text"),
    [
        ("Volcanoes", "A volcano slept."),
        ("volcano", "Volcanoes sleep."),
        ("Memories", "It is a memory."),
        ("memory", "Old memories fade."),
        ("Boxes", "The box was shut."),
        ("dust", "The room was dusty."),
        ("the sea", "They saw the sea."),
        ("toys", "A toy lay there."),
    ],
)
def test_singular_plural_and_what_is_built_on_the_word_count_as_the_word(concept: str, text: str) -> None:
    assert dropped(concept, text)


@pytest.mark.parametrize(
    ("concept", "text"), [("dust", "The industry grew."), ("a.b", "They wrote axb."), ("sea", "He wore a nice coat.")]
)
def test_other_words_are_kept_whatever_they_contain(concept: str, text: str) -> None:
    assert not dropped(concept, text)


def test_what_is_kept_stays_in_order() -> None:
    kept = free_of("tea", sentences())
    assert kept == tuple(each for each in sentences() if each in kept)
    assert 0 < len(sentences()) - len(kept) < 5


def test_length_counts_words() -> None:
    assert Sentence("it", "She drank  her tea.", abstract=False).length == 4


def test_the_plain_questions_are_those_of_the_answer_asked_for() -> None:
    assert {each.answer for each in plain_questions("yes")} == {"yes"}
    assert not set(plain_questions("yes")) & set(plain_questions("no"))


def test_an_instruction_takes_any_concept() -> None:
    assert all("{" not in each.text.format(concept="dust") for each in instructions())
