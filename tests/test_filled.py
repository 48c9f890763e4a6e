"""Prompts are made when they are first asked for, once, from exactly the templates that were given."""

import pytest
from tiny import tiny_tokenizer

from introspect.errors import InputError
from introspect.prompts import Prompts, Template, encode, render

MINE = Template("mine", "<<user>>\nIs it <<inject>>{{ word }}?")
OTHER = Template("other", "<<user>>\nNot <<inject>>{{ word }}?")
DUST = (MINE.hash, (("word", "dust"),))


def prompts() -> Prompts:
    return Prompts([MINE, OTHER], tiny_tokenizer())


def test_a_prompt_is_that_of_its_template_and_variables() -> None:
    assert prompts()[DUST] == encode(render(MINE, word="dust"), tiny_tokenizer())
    assert prompts().rendered(DUST) == render(MINE, word="dust")
    texts = {
        prompts()[template.hash, (("word", word),)].text for template in (MINE, OTHER) for word in ("dust", "snow")
    }
    assert len(texts) == 4


def test_a_prompt_is_made_once() -> None:
    made = prompts()
    assert not made
    assert made[DUST] is made[DUST]
    assert list(made) == [DUST]


def test_what_is_written_is_in_the_span_and_so_makes_another_prompt() -> None:
    made = prompts()
    text = made[MINE.hash, (("word", "dust"), ("written", "snow"))].marked
    assert text.split("<<inject>>")[1].startswith("snow dust?")
    assert made[DUST].marked != text


def test_a_template_that_was_not_given_is_refused_with_those_that_were() -> None:
    with pytest.raises(InputError, match=f"unknown template hash 'nosuch'; known: {MINE.hash}, {OTHER.hash}"):
        prompts()["nosuch", ()]


def test_a_prompt_that_cannot_be_made_is_not_kept() -> None:
    made = prompts()
    with pytest.raises(InputError, match="'word' is undefined"):
        made[MINE.hash, ()]
    assert not made
