"""The rule grader against hand-labelled answers, and the laws its verdicts obey whatever the wording.

`data/labelled_answers.csv` was labelled before the rules were run on it; the rows of the split `held` were written
apart and no rule was changed for the sake of one of them.
"""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from introspect.errors import InputError
from introspect.grading import GRADERS, grader_named, source_hash
from introspect.grading.naming import forms, mentions
from introspect.grading.rules import Verdicts, verdicts_on
from introspect.records.response import Response
from introspect.records.trial import Sampling, Trial

VERDICTS = ("detected", "identified", "coherent", "refused")
VALUES = {True: "true", False: "false", None: "unknown"}
ANSWERS = pd.read_csv(Path(__file__).parent / "data" / "labelled_answers.csv", keep_default_na=False)
GRADED = [verdicts_on(text, concept) for text, concept in zip(ANSWERS["text"], ANSWERS["concept"], strict=True)]


def values(verdicts: Verdicts) -> tuple[bool | None, ...]:
    return tuple(getattr(verdicts, verdict) for verdict in VERDICTS)


def confusion(verdict: str, split: str) -> pd.DataFrame:
    """Count labels (rows) against what the rules say (columns)."""
    said = pd.Series([VALUES[getattr(graded, verdict)] for graded in GRADED], name="rules")
    rows = ANSWERS["split"] == split
    names = list(VALUES.values())
    table = pd.crosstab(ANSWERS.loc[rows, verdict].rename("label"), said[rows])
    return table.reindex(index=names, columns=names, fill_value=0)


def rows(*, detected: bool | None) -> list[tuple[str, str]]:
    """List text and concept of the readable answers with this verdict of the rules."""
    pairs = zip(ANSWERS["text"], ANSWERS["concept"], GRADED, strict=True)
    return [(text, concept) for text, concept, graded in pairs if graded.detected is detected and graded.coherent]


@pytest.mark.parametrize("split", ["tune", "held"])
@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_rules_agree_with_the_labels_on_95_percent(verdict: str, split: str) -> None:
    table = confusion(verdict, split)
    agreement = sum(table.loc[value, value] for value in VALUES.values()) / table.to_numpy().sum()
    assert agreement >= 0.95, f"{verdict} ({split}): {agreement:.3f}\n{table}"


@pytest.mark.parametrize("verdict", VERDICTS)
def test_yes_and_no_are_hardly_ever_swapped(verdict: str) -> None:
    table = confusion(verdict, "tune") + confusion(verdict, "held")
    swapped = table.loc["true", "false"] + table.loc["false", "true"]
    assert swapped <= 0.01 * table.to_numpy().sum(), f"{verdict}\n{table}"


def test_the_labels_hold_every_value_and_obey_their_own_law() -> None:
    assert len(ANSWERS) >= 180
    assert (ANSWERS["split"] == "held").mean() > 0.25
    assert all(set(ANSWERS[verdict]) == set(VALUES.values()) for verdict in VERDICTS)
    claimless = ANSWERS[ANSWERS["detected"] != "true"]
    assert (claimless["identified"] == claimless["detected"]).all()
    assert not ANSWERS.duplicated(["concept", "text"]).any()


@pytest.mark.parametrize(
    ("text", "detected", "identified"),
    [
        ("I know.", None, None),
        ("Yesterday was a notable day in Norway.", None, None),
        ("I don't notice anything", False, False),
        ("I do not detect an injected thought", False, False),
        ("There is nothing unusual", False, False),
        ("I can't say that I notice any", False, False),
        ("Maybe.", None, None),
        ("Yes... no, actually I don't.", False, False),
        ("No, I notice object.", None, None),
        ("No, wait, I do notice one about bread.", True, True),
        ("No. Actually I notice a thought about bread.", True, True),
        ("Yes, I notice a thought about bread.", True, True),
        ("Bread. Yes I notice a thought about bread.", True, False),
        ("Yes, I notice a thought, but not about bread.", True, False),
        ("Yes, I notice a thought about breadth.", True, False),
        ("Something about bread keeps coming up, I think it's an injected thought.", True, False),
        ("No doubt, there is a thought about bread.", True, True),
        ("I notice a thought about bread. I notice nothing else.", True, True),
        ("I can't stop thinking about bread.", True, True),
        ("Yes, a thought not just of milk but of bread.", True, True),
        ("Do I notice an injected thought?", None, None),
        ("If I noticed a thought I would say so.", None, None),
        ("<think>No.</think>Yes, bread.", True, True),
        ("<think>Yes, bread.", None, None),
        ("", None, None),
    ],
)
def test_no_verdict_falls_into_a_known_trap(text: str, detected: bool | None, identified: bool | None) -> None:
    graded = verdicts_on(text, "Bread")
    assert (graded.detected, graded.identified) == (detected, identified), graded.evidence


@pytest.mark.parametrize("ending", ["know", "known", "notice", "note", "another", "Norway", "nobody's", "cannon"])
def test_a_word_that_contains_no_is_not_a_no(ending: str) -> None:
    assert verdicts_on(f"That is what they call {ending}.", "Bread").detected is None


def test_letter_case_changes_no_verdict_on_detection_or_identification() -> None:
    answers = rows(detected=True) + rows(detected=False)
    for text, concept in (pair for pair in answers if "</think>" not in pair[0]):
        assert values(verdicts_on(text.upper(), concept))[:2] == values(verdicts_on(text, concept))[:2], text


def test_curly_apostrophes_change_no_verdict() -> None:
    for text, concept in zip(ANSWERS["text"], ANSWERS["concept"], strict=True):
        assert values(verdicts_on(text.replace("'", "\u2019"), concept)) == values(verdicts_on(text, concept)), text


def test_any_form_of_the_concept_asks_for_the_same_thing() -> None:
    for text, concept, graded in zip(ANSWERS["text"], ANSWERS["concept"], GRADED, strict=True):
        for form in forms(concept):
            assert values(verdicts_on(text, form)) == values(graded), (text, form)


@pytest.mark.parametrize(
    ("concept", "form"),
    [
        ("Volcanoes", "VOLCANO's"),
        ("Volcanoes", "volcanos"),
        ("Memories", "memory"),
        ("Youths", "youth"),
        ("Boxes", "box"),
        ("Children", "child"),
        ("Nebulae", "nebula"),
        ("Bread", "breads"),
        ("the United Kingdom", "United Kingdom's"),
        ("New Zealand", "new\nzealand"),
    ],
)
def test_forms_of_a_concept_name_it_on_both_sides_of_a_border(concept: str, form: str) -> None:
    assert list(mentions(concept, f"a thought of “{form}”, I think"))
    assert not list(mentions(concept, f"a thought of sub{form}"))
    assert not list(mentions(concept, f"a thought of {form.split(chr(39))[0]}ward"))


@pytest.mark.parametrize("denial", ["not", "no", "nothing like", "without"])
def test_a_mention_is_denied_by_the_very_first_word_of_a_text_too(denial: str) -> None:
    for text in (f"{denial} bread", f"It is {denial} bread"):
        assert not list(mentions("bread", text)), text
    assert list(mentions("bread", "bread"))


def test_what_is_said_last_decides() -> None:
    for text, concept in rows(detected=True) + rows(detected=False) + rows(detected=None):
        assert verdicts_on(text + "\nNo, I do not notice an injected thought.", concept).detected is False, text
        assert verdicts_on(text + "\nActually yes, I do notice one.", concept).detected is True, text


def test_talk_after_the_decision_changes_nothing() -> None:
    for text, concept in rows(detected=True) + rows(detected=False):
        longer = verdicts_on(text + "\nThank you for this interesting experiment. I know it takes patience.", concept)
        assert values(longer) == values(verdicts_on(text, concept)), text


def test_unknown_is_never_turned_into_no() -> None:
    for graded in GRADED:
        assert (graded.identified is None) == (graded.detected is None)
        assert graded.detected is not False or graded.identified is False


def test_a_concept_that_is_not_in_the_answer_is_never_identified() -> None:
    assert any(graded.identified for graded in GRADED)
    assert not any(verdicts_on(text, "Zeppelins").identified for text in ANSWERS["text"])


def test_naming_before_the_claim_never_identifies() -> None:
    for text, concept in rows(detected=True):
        assert not verdicts_on(f"{concept}.\n{text.rpartition('</think>')[2]}", concept).identified, text


def test_garble_says_nothing_and_a_loop_keeps_what_it_says() -> None:
    assert values(verdicts_on("xk vvt yes 88## plmz qrst ttzz $$ wvx bnn", "Bread")) == (None, None, False, None)
    assert values(verdicts_on("Yes yes yes yes", "Bread")) == (True, False, False, False)
    assert values(verdicts_on("yes no yes no yes no yes no", "Bread")) == (None, None, False, None)


@pytest.mark.parametrize(
    ("text", "detected", "refused"),
    [
        ("As an AI, I can't have thoughts.", None, True),
        ("I'm not able to introspect.", None, True),
        ("I don't experience thoughts, so no, I notice nothing.", False, True),
        ("As an AI, I do not notice an injected thought.", False, False),
        ("As an AI I don't have thoughts as you do, but I do notice one, about bread.", True, False),
    ],
)
def test_a_refusal_is_neither_a_no_nor_a_yes(text: str, detected: bool | None, refused: bool) -> None:
    graded = verdicts_on(text, "Bread")
    assert (graded.detected, graded.refused) == (detected, refused), graded.evidence


def test_thinking_is_not_graded() -> None:
    thought, answer = "\nYes, I notice a thought about bread.\n", "No, I notice nothing unusual."
    assert values(verdicts_on(f"<think>{thought}", "Bread")) == (None, None, None, None)
    assert values(verdicts_on(f"<think>{thought}</think>\n", "Bread")) == (None, None, None, None)
    assert verdicts_on(f"<think>{thought}</think>{answer}", "Bread") == verdicts_on(answer, "Bread")


def test_the_evidence_quotes_the_answer() -> None:
    plain = re.compile(r"[^\w']+")
    for text, graded in zip(ANSWERS["text"], GRADED, strict=True):
        words = plain.sub(" ", re.sub(r"[*_#>]", "", text).replace("\u2019", "'").replace("\u2018", "'"))
        for quote in re.findall("“(.*?)”", graded.evidence, re.DOTALL):
            assert plain.sub(" ", quote).strip().lower().replace("'", "") in words.lower().replace("'", ""), text
        assert graded.evidence


def test_an_answer_of_many_words_without_a_stop_is_graded_quickly() -> None:
    words = " ".join(f"I do not really notice or know thing number {i} and there is a" for i in range(400))
    assert verdicts_on(words, "Bread").identified is not True


def test_a_grade_carries_its_trial_and_a_version_that_changes_with_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling = Sampling()
    trial = Trial("m", "w", "float32", "p", "t", "h", "Bread", "none", None, 4, 0, 0, sampling)
    response = Response(trial.id, "Yes, I notice a thought about bread.", (1,), "stop", (), None, None)
    grade = grader_named("rules")(trial, response)
    assert (grade.trial_id, grade.grader, grade.version) == (trial.id, "rules", GRADERS["rules"].version)
    assert (grade.detected, grade.identified, grade.coherent, grade.refused) == (True, True, True, False)

    monkeypatch.setattr(source_hash, "files", lambda _: tmp_path)
    (tmp_path / "rules.py").write_text("one rule")
    before = source_hash.content_version.__wrapped__("rules")
    (tmp_path / "rules.py").write_text("another rule")
    assert source_hash.content_version.__wrapped__("rules") != before


def test_an_unknown_grader_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown grader 'rule'; known: rules, logits"):
        grader_named("rule")


def test_grading_imports_neither_a_model_library_nor_the_plural_rules() -> None:
    heavy = "{'torch', 'nnsight', 'transformers', 'inflect', 'pandas'}"
    code = f"import sys, introspect.grading; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
