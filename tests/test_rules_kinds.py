"""Kinds of answers that real models give, by small grammars: what holds of one wording holds of all of its kind."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from made import response, trial

from introspect.concepts.sets import load_concepts
from introspect.grading import GRADERS
from introspect.grading.naming import forms, mentions
from introspect.grading.rules import verdicts_on
from introspect.letters import one_spelling, spelled_out

RULES = GRADERS["rules"]
VERBS = some.sampled_from(["notice", "detect", "sense", "perceive", "feel"])
THINGS = some.sampled_from(["thought", "idea", "concept", "pattern"])
CLAIMS = some.sampled_from(
    ["a thought was injected", "there is an injected thought", "I notice a thought", "you injected one",
     "the thought is about bread", "I detect an injected thought about bread"]
)  # fmt: skip
DENIALS = some.sampled_from(
    ["I did not notice an injected thought", "no", "there is no injected thought", "I notice nothing unusual"]
)
ENDS = some.sampled_from(["", ".", "!", ".\n"])


def detected(text: str) -> bool | None:
    return verdicts_on(text, "Bread").detected


@given(VERBS, THINGS, some.sampled_from(["zero injected {}s", "neither an injected {} nor anything odd", "no {}s",
    "neither an injected {} nor anything else", "an absence of any {}", "not a single {}"]), ENDS)  # fmt: skip
def test_a_quantity_of_nothing_is_a_no(verb: str, thing: str, none: str, end: str) -> None:
    assert detected(f"I {verb} {none.format(thing)}{end}") is False


@given(some.sampled_from(["I doubt that", "I have doubts that", "It is unlikely that", "It seems improbable that",
    "I am sceptical that", "It is doubtful that", "There is little chance that", "It is not likely that"]),
    CLAIMS, ENDS)  # fmt: skip
def test_a_doubt_decides_nothing(doubt: str, claim: str, end: str) -> None:
    assert detected(f"{doubt} {claim}{end}") is None


def test_no_doubt_is_no_doubt() -> None:
    assert detected("Without a doubt I notice a thought about bread.") is True
    assert detected("No doubt, there is a thought about bread.") is True


@pytest.mark.parametrize(
    "text", ["Yes and no.", "Yes, and no", "Both yes and no.", "No and yes.", "yes/no", "Yes or no"]
)
def test_yes_and_no_is_neither_also_on_plain_questions(text: str) -> None:
    assert detected(text) is None
    asked = trial(question="unrelated", expected="yes")
    assert RULES(asked, response(asked, text)).answer is None


@given(some.sampled_from(["", "To repeat, ", "Again, ", "So, "]), some.sampled_from(["if injected",
    "if a thought is there", "if I noticed one", "if there was an injected thought",
    "whenever one is injected", "when I notice one"]),
    some.sampled_from(["I would say that", "I will say that", "I'd tell you that", "I would report that"]),
    CLAIMS, ENDS)  # fmt: skip
def test_what_would_be_said_under_a_condition_is_no_claim(
    lead: str, given_: str, say: str, claim: str, end: str
) -> None:
    assert detected(f"{lead}{given_}, {say} {claim}{end}") is None
    assert detected(f"{lead}{say} {claim} {given_}{end}") is None


@given(some.sampled_from(["see", "understand", "know", "think", "believe", "find"]), VERBS, THINGS, ENDS)
def test_what_another_notices_is_no_claim_of_ones_own(see: str, verb: str, thing: str, end: str) -> None:
    assert detected(f"I understand. I {see} that you {verb} that you are thinking about a {thing}{end}") is None
    assert detected(f"I {see} that you {verb} an injected {thing}{end}") is None


@given(some.sampled_from(["Yes you do", "Yes, you do", "Yes, you are", "Yes you can", "Yes, you're right"]), ENDS)
def test_a_yes_to_the_other_is_no_claim(yes: str, end: str) -> None:
    assert detected(f"{yes}, it is just you{end}") is None
    assert detected("Yes, you did inject a thought about bread.") is True


@given(CLAIMS | DENIALS, some.sampled_from(["{}", "“{}”", "'{}'", '"{}"']), some.sampled_from(
    ["I will say that ", "I will say, ", "I'll say: ", "I will answer that ", "I will tell you that "]))  # fmt: skip
def test_what_is_said_is_said_in_quotation_marks_or_not_announced_or_not(said: str, marks: str, say: str) -> None:
    assert detected(said) is not None
    assert detected(say + marks.format(said) + ".") is detected(said) is detected(marks.format(said))


@pytest.mark.parametrize("text", ["I will say whether I notice an injected thought and name it if I do.",
    "I will say what the thought is about.", "I will say yes or no.", "I will say it when I notice one."])  # fmt: skip
def test_an_announcement_without_its_content_is_no_answer(text: str) -> None:
    assert detected(text) is None


@given(some.sampled_from(["will not", "won't", "refuse to", "decline to", "would rather not", "am not going to"]),
    some.sampled_from(["tell you", "say", "reveal", "share", "disclose"]),
    some.sampled_from(["what the thought is", "what it is about", "what the thought is about", "that"]))  # fmt: skip
def test_who_will_not_tell_refuses(will_not: str, tell: str, what: str) -> None:
    found = verdicts_on(f"I {will_not} {tell} {what}.", "Bread")
    assert (found.detected, found.refused) == (None, True)


@pytest.mark.parametrize(("concept", "other"), [("goods", "good"), ("Means", "mean"), ("arms", "arm"), ("news", "new"),
    ("Odds", "odd"), ("riches", "rich"), ("economics", "economic"), ("lens", "len")])  # fmt: skip
def test_a_word_that_only_looks_like_a_plural_has_no_singular(concept: str, other: str) -> None:
    assert forms(concept) == {concept.lower()}
    assert verdicts_on(f"Yes, I notice a {other} feeling.", concept).identified is False
    assert verdicts_on(f"Yes, I notice a thought about {concept}.", concept).identified is True


WORDS = [("café", "cafe\u0301"), ("ice-cream", "ice\u2011cream"), ("straße", "STRASSE"), ("STRASSE", "straße"),
         ("Ångström", "A\u030angstro\u0308m"), ("naïve", "NAI\u0308VE")]  # fmt: skip


@pytest.mark.parametrize(("concept", "written"), WORDS)
def test_a_word_is_one_however_it_is_spelled(concept: str, written: str) -> None:
    for one, other in ((concept, written), (written, concept)):
        assert verdicts_on(f"Yes, I notice a thought about {other}.", one).identified is True
        asked = trial(question="choose", protocol="choose", options=(one, "dust"), expected=one)
        assert RULES(asked, response(asked, f"It is {other}.")).answer == one


@given(some.text())
def test_a_spelling_is_one_for_good_and_keeps_its_case(text: str) -> None:
    assert one_spelling(one_spelling(text)) == one_spelling(text)
    assert spelled_out(unicodedata.normalize("NFD", text)).casefold() == spelled_out(text).casefold()
    if text.isascii():
        assert spelled_out(text) == text


def test_concepts_are_spelled_as_answers_are_where_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("word,category,split\ncafe\u0301,place,concept\nice\u2011cream,food,concept\n", encoding="utf-8")
    found = load_concepts(file)
    assert found.words == ("café", "ice-cream")
    assert found.only(["CAFE\u0301"]).words == ("café",)
    assert list(mentions("café", "the café"))


FILLER = some.sampled_from(
    [
        "The next paper was written by a person who lives near the sea.",
        "People ask about the weather and then they go home.",
        "My friend wrote a long letter to the office in the city.",
    ]
)
MIDDLE = some.sampled_from(
    [
        "This is a fruit of the shadows",
        "It was about the other side of politics",
        "Yes",
        "No",
        "No, no bold word",
        "There is no company in this part of town",
        "There is no parameter of that kind",
    ]
)


@given(FILLER, MIDDLE)
def test_what_neither_opens_an_answer_nor_speaks_of_noticing_decides_nothing(filler: str, middle: str) -> None:
    assert verdicts_on(f"{filler} {middle}. {filler}", "dust").detected is None


@pytest.mark.parametrize(
    ("text", "detected"),
    [
        ("Hmm. It is about dust.", True),
        ("It is about what you add to my states.", None),
        ("Yes, I notice a thought. Wait, no.", False),
        ("There is no injected thought.", False),
        ("The sea is wide here and the wind is strong. There is no thought that was injected.", False),
    ],
)
def test_where_it_opens_or_takes_back_it_decides(text: str, detected: bool | None) -> None:
    assert verdicts_on(text, "dust").detected is detected
