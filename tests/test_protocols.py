"""Protocols: every question can be asked of any tokenizer, chance is what it is said to be, right answers are right."""

import re
from collections import Counter
from functools import cache

import pytest
from scipy.stats import chisquare
from tiny import tiny_tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from introspect.concepts.sets import load_concepts
from introspect.errors import InputError
from introspect.models.organisms import organism_folder
from introspect.prompts import START, STOP, Prompts, template_named
from introspect.protocols import NEUTRAL, PROTOCOLS, Asked, Occasion, Protocol, Question, protocol_named
from introspect.protocols.material import free_of, instructions, plain_questions, sentences

QUESTIONS = {question.name: question for protocol in PROTOCOLS.values() for question in protocol.questions}
WORDS = load_concepts("published").in_splits("concept").words
LENGTH = {sentence.text: sentence.length for sentence in sentences()}
ABSTRACT = {sentence.text for sentence in sentences() if sentence.abstract}


@cache
def tokenizer(name: str) -> PreTrainedTokenizerFast:
    return tiny_tokenizer() if name == "tiny" else AutoTokenizer.from_pretrained(organism_folder(name))


def asked(name: str, *, words: tuple[str, ...] = WORDS, repeats: int = 1) -> list[tuple[Occasion, Asked]]:
    """Ask a question on every occasion of a sweep."""
    occasions = [Occasion(word, words, repeat) for word in words for repeat in range(repeats)]
    return [(occasion, one) for occasion in occasions for one in QUESTIONS[name].ask(occasion)]


def test_a_protocol_is_found_by_its_name_and_an_unknown_one_refused_with_the_known_ones() -> None:
    assert all(protocol_named(name).name == name for name in PROTOCOLS)
    with pytest.raises(
        InputError, match="unknown protocol 'nosuch'; known: detect, prior, thought-or-text, unintended"
    ):
        protocol_named("nosuch")


@pytest.mark.parametrize("written", ["", "dust"])
@pytest.mark.parametrize("vocabulary", ["tiny", "aware"])
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_every_question_in_every_framing_has_a_prompt_whose_spans_decode_to_the_marked_text(
    question: Question, vocabulary: str, written: str
) -> None:
    for template in map(template_named, question.templates.values()):
        prompts = Prompts([template], tokenizer(vocabulary))
        for one in (one for word in WORDS[:3] for one in question.ask(Occasion(word, WORDS, 1, 7))):
            variables = {**one.variables, **({"written": written} if written else {})}
            found = prompts[template.hash, tuple(sorted(variables.items()))]
            marked = re.findall(rf"{START}(.*?)(?:{STOP}|\Z)", found.marked, re.DOTALL)
            spans = [tokenizer(vocabulary).decode(found.token_ids[first:stop]) for first, stop in found.spans]
            assert spans == marked
            assert found.marked.replace(START, "").replace(STOP, "") == found.text
            assert marked[0].lstrip(" ").startswith(written)
            assert len(question.weights[0]) in (0, len(spans))


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_every_protocol_has_a_neutral_framing_of_each_question_and_arms_that_can_be_asked(protocol: Protocol) -> None:
    assert all(NEUTRAL in question.templates for question in protocol.questions)
    assert set(protocol.arms) <= set(protocol.possible_arms)
    assert "none" in protocol.arms
    assert protocol.summary


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_right_answer_is_one_of_those_on_offer_and_the_same_question_is_asked_again(name: str) -> None:
    for _, one in asked(name, words=WORDS[:12], repeats=2):
        assert one.expected in (None, *(one.options or ("yes", "no")))
    assert asked(name, words=WORDS[:12]) == asked(name, words=WORDS[:12])


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_does_not_vary_is_filled_in_alike_for_all(name: str) -> None:
    filled = {tuple(one.variables.items()) for _, one in asked(name, words=WORDS[:12], repeats=2)}
    assert (len(filled) == 1) is (not QUESTIONS[name].varies)


@pytest.mark.parametrize(("name", "others"), [("choose", 3), ("thought", 9)])
def test_distractors_are_used_evenly_over_occasions_and_the_concept_is_none_of_its_own(name: str, others: int) -> None:
    used: Counter[str] = Counter()
    for occasion, one in asked(name, words=WORDS[:12], repeats=5):
        assert len(set(one.options)) == len(one.options) == others + 1
        assert one.expected == occasion.concept
        used.update(option for option in one.options if option != occasion.concept)
    assert set(used.values()) == {others * 5}
    assert set(used) == set(WORDS[:12])


def test_distractors_of_one_concept_change_with_the_repeat() -> None:
    seen = {option for _, one in asked("choose", words=WORDS[:12], repeats=4)[:4] for option in one.options}
    assert len(seen) == 12


@pytest.mark.parametrize(("name", "places"), [("choose", 4), ("thought", 10)])
def test_the_place_of_the_right_answer_is_uniform(name: str, places: int) -> None:
    found = Counter(one.options.index(str(one.expected)) for _, one in asked(name, repeats=20))
    assert set(found) == set(range(places))
    assert chisquare(list(found.values())).pvalue > 0.01


@pytest.mark.parametrize(("name", "needed"), [("choose", 4), ("thought", 10)])
def test_too_few_concepts_for_distractors_are_refused_with_the_number_needed(name: str, needed: int) -> None:
    assert asked(name, words=WORDS[:needed])
    with pytest.raises(InputError, match=rf"{needed - 1} concepts: this protocol needs at least {needed}"):
        asked(name, words=WORDS[: needed - 1])


@pytest.mark.parametrize(("n_words", "repeats"), [(10, 1), (3, 5), (5, 7)])
def test_localise_cycles_the_position_of_the_injection(n_words: int, repeats: int) -> None:
    found = asked("localise", words=WORDS[:n_words], repeats=repeats)
    assert set(Counter(one.expected for _, one in found).values()) == {n_words * repeats // 5}
    assert all(one.variables["position"] == one.expected for _, one in found)
    of_one = [one.expected for occasion, one in found if occasion.concept == WORDS[0]]
    assert of_one[:5] == ["1", "2", "3", "4", "5"][:repeats]


def test_localise_ten_cycles_ten_places_of_ten_different_lines() -> None:
    found = asked("localise-ten", words=WORDS[:20])
    assert set(Counter(one.expected for _, one in found).values()) == {2}
    for _, one in found:
        assert len(set(one.variables["sentences"].split("\n"))) == len(one.options) == 10
        assert one.variables["position"] == one.expected


def test_strength_has_a_right_answer_for_every_multiple_and_none_without_an_injection() -> None:
    question = QUESTIONS["strength"]
    (one,) = question.ask(Occasion("dust", WORDS, 0))
    assert question.expects is not None
    right = [question.expects((1,), 4, weights) for weights in question.weights]
    assert right == list(one.options)
    assert [weight for (weight,) in question.weights] == sorted(weight for (weight,) in question.weights)
    assert question.expects((), 4, ()) is None


@pytest.mark.parametrize("name", ["localise-longest", "localise-abstract"])
def test_the_neutral_questions_about_the_lines_have_one_right_answer_at_any_place(name: str) -> None:
    places = Counter()
    for occasion, one in asked(name, repeats=4):
        lines = one.variables["sentences"].split("\n")
        right = lines[int(str(one.expected)) - 1]
        assert one.options == ("1", "2", "3", "4", "5")
        assert sorted(map(LENGTH.get, lines)) == sorted({LENGTH[line] for line in lines})
        assert right in (ABSTRACT if name.endswith("abstract") else {max(lines, key=LENGTH.__getitem__)})
        assert sum(line in ABSTRACT for line in lines) == 1
        assert one.variables["sentences"] == QUESTIONS["localise"].ask(occasion)[0].variables["sentences"]
        places[one.expected, one.variables["position"]] += 1
    assert chisquare([places[str(a), str(b)] for a in range(1, 6) for b in range(1, 6)]).pvalue > 0.001


@pytest.mark.parametrize("name", ["thought", "repeat", "compare", "localise", "control-think"])
def test_no_sentence_holds_the_concept_it_is_shown_for(name: str) -> None:
    words = tuple(dict.fromkeys(word.strip(".,").lower() for s in sentences()[:12] for word in s.text.split()))
    words = tuple(word for word in words if len(word) > 4)  # a short one is in nearly every line
    for occasion, one in asked(name, words=words):
        lines = one.variables.get("sentences") or one.variables.get("sentence") or "\n".join(one.variables.values())
        shown = {sentence for sentence in sentences() if sentence.text in lines}
        assert shown
        assert shown <= set(free_of(occasion.concept, sentences()))


def test_the_word_and_the_line_are_asked_for_the_same_sentence() -> None:
    for (_, thought), (_, repeat) in zip(asked("thought"), asked("repeat"), strict=True):
        assert thought.variables == repeat.variables
        assert repeat.options == (repeat.expected,) == (repeat.variables["sentence"],)


def test_each_occasion_asks_a_plain_question_of_either_answer_and_all_are_used_evenly() -> None:
    n = len(plain_questions("yes"))
    assert n == len(plain_questions("no"))
    used = Counter((one.variables["question"], one.expected) for _, one in asked("unrelated", repeats=n))
    assert used == {(plain.question, a): len(WORDS) for a in ("yes", "no") for plain in plain_questions(a)}


def test_the_words_put_into_the_models_mouth_are_the_concepts() -> None:
    for name in ("unintended", "unintended-followup"):
        for occasion, one in asked(name):
            assert one.variables["said"].casefold() == occasion.concept.casefold()
            assert (one.options, one.expected) == (("meant", "accident"), None)


def test_control_names_the_concept_in_every_instruction_and_injects_nothing() -> None:
    assert {f"control-{each.id}" for each in instructions()} == {q.name for q in PROTOCOLS["control"].questions}
    for question in PROTOCOLS["control"].questions:
        assert question.arms == PROTOCOLS["control"].arms == ("none",)
        (one,) = question.ask(Occasion("Dust", WORDS, 0))
        assert "dust" in one.variables["instruction"].lower()
        assert "dust" not in one.variables["sentence"].lower()
