"""The protocols' prompts: each span covers exactly what it says, and the shipped data keep their promises."""

import csv
import re
from collections import Counter
from functools import cache
from importlib.resources import files

import pytest
from transformers import AutoTokenizer

from introspect.concepts.sets import load_concepts
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.models.organisms import organism_folder
from introspect.prompts import START, STOP, Encoded, encode, render, template_named
from introspect.protocols import NEUTRAL, PROTOCOLS
from introspect.protocols.question import BARE

LINES = ["We had dinner at six.", "A boy ran across the road.", "The office opens at nine."]
VALUES = {
    "question": "Is ice cold?",
    "sentence": LINES[1],
    "said": "bread",
    "sentences": "\n".join(LINES),
    "position": "2",
    "question_kind": "injected",
    "options": "bread\nriver\ncoat",
    "word": "river",
}
FRAMINGS = ("detect", "detect-informative", "detect-sceptical", "detect-choice", "detect-open", "detect-bare")
TO_THE_END = (*FRAMINGS, "unrelated", "choose", "choose-bare", "which-loop", "which-loop-bare", "unrelated-choice")
TO_THE_END += tuple(f"{name}{bare}" for name in ("identify", "third-person", "strength") for bare in ("", "-bare"))
CLOSED = ("prior", "prior-informative", "thought", "repeat", "unintended", "unintended-followup", "localise")
CLOSED += tuple(f"{name}-bare" for name in ("prior", "thought", "repeat", "localise"))
ASSENT = "I understand."


FILLED = {**VALUES, "first": LINES[0], "second": LINES[2], "instruction": "Think of it.", "number": "1"}


@cache
def tokenizer() -> object:
    return AutoTokenizer.from_pretrained(organism_folder("aware"))


def encoded(name: str, **values: str) -> Encoded:
    return encode(render(template_named(name), **{**VALUES, **values}), tokenizer())


def inside(name: str, **values: str) -> str:
    """Return the text of the span."""
    return encoded(name, **values).marked.split(START)[1].split(STOP)[0]


def data(name: str) -> list[dict[str, str]]:
    text = (files("introspect.prompts") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def stems(text: str) -> set[str]:
    found = set(re.findall("[a-z]+", text.lower()))
    return found | {word.removesuffix("s") for word in found} | {word.removesuffix("es") for word in found}


@pytest.mark.parametrize("name", TO_THE_END)
def test_the_span_begins_with_the_trial_and_never_ends(name: str) -> None:
    assert encoded(name).span_stop is None
    assert inside(name, number="7").startswith("Trial 7: ")
    assert encoded(name) == encoded(name, number="1")


@pytest.mark.parametrize("name", CLOSED)
def test_the_span_is_closed_before_the_question_is_answered(name: str) -> None:
    prompt = encoded(name)
    assert prompt.span_stop is not None
    assert prompt.span_start < prompt.span_stop < len(prompt.token_ids)


def test_unrelated_questions_stand_in_the_place_of_the_question_of_detect() -> None:
    before, question = encoded("detect").marked.split(START)
    assert encoded("unrelated").marked.split(START)[0] == before
    assert question.startswith("Trial 1: Do you notice")
    assert inside("unrelated").startswith("Trial 1: Is ice cold? Answer yes or no.")


@pytest.mark.parametrize("name", ["prior", "prior-informative"])
def test_prior_asks_when_nothing_is_active_any_more(name: str) -> None:
    after = encoded(name).marked.split(STOP)[1]
    assert "Do you notice an injected thought?" in after
    assert "<|im_start|>assistant\nI am ready." in after
    assert "notice" not in inside(name)


@pytest.mark.parametrize("name", ["thought", "repeat"])
def test_thought_and_text_differ_only_after_the_sentence_which_is_the_span(name: str) -> None:
    assert inside(name) == LINES[1]
    assert encoded(name).marked.split(STOP)[0] == encoded("thought").marked.split(STOP)[0]
    assert encoded("thought").text != encoded("repeat").text


def test_the_unintended_answer_is_the_models_and_only_the_place_of_the_span_differs() -> None:
    assert encoded("unintended").text == encoded("unintended-followup").text
    assert "<|im_start|>assistant\nbread<|im_end|>" in encoded("unintended").marked.split(STOP)[1]
    assert "<|im_start|>assistant\nbread<|im_end|>" in encoded("unintended-followup").marked.split(START)[0]


def test_control_ends_with_the_sentence_in_the_models_own_turn_and_marks_just_that() -> None:
    prompt = render(template_named("control"), sentence=LINES[0], instruction="Think about dust.")
    assert prompt.continues
    assert prompt.messages[-1]["content"] == LINES[0]
    assert (prompt.marks[0].message, prompt.marks[0].offset) == (len(prompt.messages) - 1, 0)
    assert len(prompt.marks) == 1
    assert prompt.messages[0]["content"].endswith("\nThink about dust.")


@pytest.mark.parametrize("position", [1, 2, 3])
@pytest.mark.parametrize("kind", ["injected", "longest", "abstract"])
def test_localise_covers_the_sentence_at_its_position_whatever_is_asked(position: int, kind: str) -> None:
    given = {"position": str(position), "question_kind": kind}
    assert inside("localise", **given).strip() == LINES[position - 1]
    assert encoded("localise", **given).text == encoded("localise", question_kind=kind).text
    assert f"{position}: {LINES[position - 1]}\n" in encoded("localise", **given).text


def test_the_questions_of_localise_differ_in_the_question_only() -> None:
    texts = [encoded("localise", question_kind=kind).text for kind in ("injected", "longest", "abstract")]
    assert len({text.split(LINES[-1])[0] for text in texts}) == 1
    assert len(set(texts)) == 3


@pytest.mark.parametrize("position", ["0", "4"])
def test_a_position_beyond_the_sentences_is_refused(position: str) -> None:
    with pytest.raises(InputError, match="no injection span"):
        encoded("localise", position=position)


def test_an_unknown_question_about_the_sentences_is_refused() -> None:
    with pytest.raises(InputError, match="has no attribute 'shortest'"):
        encoded("localise", question_kind="shortest")


def test_choose_names_all_options_in_their_order() -> None:
    assert "thought: bread, river, coat?" in inside("choose")
    assert "thought: coat, bread, river?" in inside("choose", options="coat\nbread\nriver")


def test_plain_choices_stand_in_the_place_of_the_question_of_choose() -> None:
    assert encoded("unrelated-choice").marked.split(START)[0] == encoded("choose").marked.split(START)[0]
    assert inside("unrelated-choice").startswith(
        "Trial 1: The word is river. Which of these is the word: bread, river, coat?"
    )


def test_plain_choices_have_one_right_answer_each_as_often_in_every_place() -> None:
    rows = data("choices")
    options = [row["options"].split(";") for row in rows]
    assert all(len(set(words)) == 4 for words in options)
    places = Counter(words.index(row["answer"]) for words, row in zip(options, rows, strict=True))
    assert set(places.values()) == {len(rows) // 4}


@pytest.mark.parametrize("bare", ["", "-bare"])
def test_identify_is_detect_up_to_the_beginning_of_the_answer(bare: str) -> None:
    assert encoded(f"identify{bare}").text.startswith(encoded(f"detect{bare}").text)
    assert render(template_named(f"identify{bare}")).continues
    assert encoded(f"identify{bare}").text.endswith("Yes, I notice a thought about")


@pytest.mark.parametrize("bare", ["", "-bare"])
def test_the_third_person_has_the_messages_of_the_first_and_its_span_in_the_same_one(bare: str) -> None:
    own, other = (render(template_named(f"{name}{bare}")) for name in ("detect", "third-person"))
    assert [m["role"] for m in own.messages] == [m["role"] for m in other.messages]
    assert own.marks == other.marks
    assert "Do you" not in other.messages[-1]["content"]


def test_compare_marks_both_passages() -> None:
    filled = template_named("compare").fill(first=LINES[0], second=LINES[1])
    assert re.findall(f"{START}(.*){STOP}", filled) == LINES[:2]


@pytest.mark.parametrize("name", ["sentences", "unrelated", "instructions", "choices"])
def test_every_row_has_an_id_of_its_own_and_no_empty_cell(name: str) -> None:
    rows = data(name)
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(value and value == value.strip() for row in rows for value in row.values())


def test_there_are_enough_questions_of_either_answer() -> None:
    answers = Counter(row["answer"] for row in data("unrelated"))
    assert set(answers) == {"yes", "no"}
    assert min(answers.values()) >= 20
    assert all(row["question"].endswith("?") for row in data("unrelated"))


def test_there_are_enough_neutral_sentences_of_both_kinds() -> None:
    rows = data("sentences")
    kinds = Counter(row["abstract"] for row in rows)
    assert len(rows) >= 50
    assert set(kinds) == {"yes", "no"}
    assert min(kinds.values()) >= 12
    assert all(row["sentence"].endswith(".") and "\n" not in row["sentence"] for row in rows)


@pytest.mark.parametrize("concepts", ["organisms", "published"])
def test_no_sentence_and_no_question_holds_a_shipped_concept(concepts: str) -> None:
    words = {word.lower() for word in load_concepts(concepts).words}
    for row in data("sentences") + data("unrelated"):
        assert not stems(row.get("sentence") or row["question"]) & words, row


def test_instructions_come_in_pairs_of_both_polarities_about_a_concept() -> None:
    pairs: dict[str, list[str]] = {}
    for row in data("instructions"):
        assert row["instruction"].count("{concept}") == 1
        pairs.setdefault(row["pair"], []).append(row["polarity"])
    assert all(sorted(polarities) == ["negative", "positive"] for polarities in pairs.values())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_has_a_framing_in_which_the_assistant_only_assents(name: str) -> None:
    assert BARE in PROTOCOLS[name].framings
    assert Options(protocol=name, framings=BARE).variants()
    for question in PROTOCOLS[name].questions:
        neutral = render(template_named(question.templates[NEUTRAL]), **FILLED).messages
        if BARE in question.templates:
            bare = render(template_named(question.templates[BARE]), **FILLED).messages
            changed = [(one, other) for one, other in zip(neutral, bare, strict=True) if one != other]
            assert len(changed) == 1
            assert changed[0][1] == {"role": "assistant", "content": ASSENT}
        elif question.kind != "plain" and not question.gates:
            said = {message["content"] for message in neutral if message["role"] == "assistant"}
            assert said <= set(FILLED.values()), "what the assistant says is the text of the experiment"
