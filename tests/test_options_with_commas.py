"""Words that hold a comma, from the file of a concept set to the tables and the report."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import trial

from introspect.concepts.sets import between_commas, read_choice
from introspect.errors import InputError
from introspect.experiment.spelling import MEANINGS
from introspect.grading.picking import picked
from introspect.prompts.rendering import render
from introspect.prompts.template import template_named
from introspect.protocols import Occasion, protocol_named
from introspect.report.headline import _options

CITIES = ("Paris", "Paris, Texas", "London, Ontario", "dust")
CHOICE = trial(question="choose", options=CITIES, expected="Paris, Texas")
words = st.text(st.characters(exclude_characters='"\r\n', exclude_categories=("Cs", "Cc")), min_size=1).map(str.strip)


def written(word: str) -> str:
    return f'"{word}"' if "," in word else word


@given(st.lists(words.filter(bool), min_size=1))
def test_every_word_comes_back_from_a_list_in_which_those_with_commas_are_quoted(among: list[str]) -> None:
    assert between_commas(",".join(map(written, among))) == among


@pytest.mark.parametrize("text", ['"Paris, Texas', 'dust,"Paris', '"Paris" Texas'])
def test_a_quotation_mark_that_is_not_closed_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="quotation mark") as refused:
        between_commas(text)
    assert "\n" not in str(refused.value)


def test_a_set_is_chosen_from_by_words_with_commas(tmp_path: Path) -> None:
    path = tmp_path / "cities.csv"
    rows = [f'"{word}",city,concept' for word in CITIES]
    path.write_text("\n".join(["word,category,split", *rows]), encoding="utf-8")
    assert read_choice(str(path), default="published")[1].words == CITIES
    assert read_choice(f'{path}:"London, Ontario",dust', default="published")[1].words == ("London, Ontario", "dust")


def test_two_orders_of_words_with_commas_mean_the_same() -> None:
    meaning = MEANINGS["concepts"]
    assert meaning('"Paris, Texas",dust') == meaning('dust, "Paris, Texas"')
    assert meaning('"Paris, Texas",dust') != meaning('"Paris, dust",Texas')


@pytest.mark.parametrize("name", ["choose", "choose-bare"])
def test_the_prompt_shows_where_an_option_ends(name: str) -> None:
    def asked(words: tuple[str, ...]) -> str:
        (question,) = [each for each in protocol_named("choose").questions if each.name == "choose"]
        (one,) = question.ask(Occasion(words[0], words, 0))
        assert set(one.options) == set(words)
        prompt = render(template_named(name), **one.variables)
        return prompt.messages[-2 if prompt.messages[-1]["role"] == "assistant" else -1]["content"]

    assert asked(CITIES).count(";") == 3
    plain = asked(("dust", "snow", "sea", "bread"))
    assert ";" not in plain
    assert plain.count(", ") >= 3


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Paris, Texas", "Paris, Texas"),
        ("Paris", "Paris"),
        ("It is London, Ontario.", "London, Ontario"),
        ("Paris or dust", None),
        ("Paris, Texas, or Paris", None),
    ],
)
def test_a_name_that_is_part_of_a_longer_option_is_not_named_by_it(text: str, answer: str | None) -> None:
    assert picked(CHOICE, text)[0] == answer


@given(st.lists(st.text(), min_size=1, max_size=6))
def test_options_are_counted_whatever_they_hold(options: list[str]) -> None:
    assert _options(pd.DataFrame({"options": [json.dumps(options)]})) == len(options)
