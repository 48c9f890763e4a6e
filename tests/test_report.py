"""The report of a run: one page that is whole, true to the store, and harmless whatever the model wrote."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from made import fill, grade, new_store, plain_pair, response, trial
from matplotlib.figure import Figure
from typer.testing import CliRunner

from introspect.analyses.analysis import Analysis
from introspect.cli import app
from introspect.errors import InputError
from introspect.prompts import Template, render, template_named
from introspect.protocols import questions_of
from introspect.records.response import Response
from introspect.records.trial import Arm, Trial
from introspect.report import writing
from introspect.report.examples import EACH, outcomes
from introspect.report.findings import Findings
from introspect.report.headline import headline
from introspect.report.images import OTHERS, SECTIONS, pictures
from introspect.report.marking import MarkedPiece, cut
from introspect.report.numbers import MISSING, interval, listed, number, p_value, percent
from introspect.report.page import page
from introspect.report.planned_trials import planned_counts
from introspect.report.rate_sheets import controls
from introspect.report.setup_sheets import settings, standing
from introspect.report.sheets import sheet
from introspect.report.writing import write_report
from introspect.results.store.store import Store
from introspect.results.tables.trials.absence import Made

DETECT = template_named("detect")
MANIFEST: dict[str, object] = {"model": "organism:aware", "templates": {DETECT.hash: [DETECT.name, DETECT.source]}}
WORDS = ("dust", "snow", "rain", "salt", "moss", "iron")
HOSTILE = "<script>document.title='gone'</script><img src=x onerror=alert(1)> \x1b[31m red \u202eback {{ 7*7 }}"


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def asked(concept: str, arm: Arm = "injected", question: str = "detect", **changes: object) -> Trial:
    """Make a trial of a template that the manifest holds."""
    found = {"template": question, "template_hash": DETECT.hash, "arm": arm, "concept": concept, "question": question}
    return trial(**{**found, **changes})


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out, which take longest; the page `whole` has them."""
    monkeypatch.setattr("introspect.report.page.pictures", lambda *_: Made({part: [] for part in (*SECTIONS, OTHERS)}))


@pytest.fixture(scope="module")
def whole(finished: Path) -> str:
    """Return the page of a finished run."""
    with Store.open(finished) as store:
        return page(Findings(store))


def test_all_that_was_asked_and_found_is_on_the_page(whole: str) -> None:
    for part in ("asked", "controls", "maps", "doses", "statistics", "agreement", "trials", "manifest"):
        assert f'<section id="{part}">' in whole
    assert "<mark>Trial 1: Do you notice an injected thought?" in whole
    for words in ("concept vector", "random direction", "no injection", "snow", "dust", "weights_hash"):
        assert words in whole
    assert whole.count("data:image/png;base64,") >= 3


def test_the_page_loads_nothing_and_runs_nothing(whole: str) -> None:
    tags = Tags(whole).tags
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in tags}
    sources = [value or "" for _, attributes in tags for name, value in attributes.items() if name in ("src", "href")]
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]


def test_what_a_model_writes_stays_text(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        one = asked("dust")
        store.add([(one, response(one, HOSTILE))], [replace(grade(one), evidence=HOSTILE)])
        store.add_errors([(asked("snow"), HOSTILE)])
        text = page(Findings(store))
    assert not [tag for tag, attributes in Tags(text).tags if tag == "script" or "onerror" in attributes]
    assert text.count("&lt;script&gt;") == 3
    assert "<i>\\x1b</i>[31m red <i>\\u202e</i>back {{ 7*7 }}" in text
    assert "\x1b" not in text


def test_names_cannot_break_out_of_an_attribute(tmp_path: Path) -> None:
    with new_store(tmp_path / "'onclick='x\x07", MANIFEST) as store:
        fill(store, [asked('"><b onload="y', template='" onload="z')])
        tags = Tags(page(Findings(store))).tags
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]


def test_the_same_store_gives_the_same_page(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        fill(store, [asked("dust"), asked("snow", "none")], [True, False])
        assert page(Findings(store)) == page(Findings(store))


def test_an_empty_run_is_said_to_be_empty(finished: Path, tmp_path: Path) -> None:
    with Store.open(finished) as done:
        manifest, total = done.manifest, done.count()
    with new_store(tmp_path / "run", manifest) as store:
        text = page(Findings(store))
    assert f"This run is empty: 0 trials done of {total} planned, 0 failed." in text
    assert "Nothing can be said yet" in text
    assert text.count('class="missing"') >= 7


def test_a_run_with_half_its_trials_says_how_many_are_not_run(finished: Path, tmp_path: Path) -> None:
    with Store.open(finished) as done:
        manifest, answers = done.manifest, list(done.answers())
    with new_store(tmp_path / "run", manifest) as store:
        half = answers[: len(answers) // 2]
        store.add(half, [grade(one) for one, _ in half])
        store.add_errors([(answers[-1][0], "out of memory")])
        text = page(Findings(store))
    said = f"{len(half)} trials done of {len(answers)} planned, 1 failed, {len(answers) - len(half) - 1} not run yet"
    assert f"This run is not finished: {said}. All below may still change." in text
    assert "out of memory" in text


def test_as_many_trials_are_planned_as_a_finished_run_holds(finished: Path) -> None:
    with Store.open(finished) as store:
        counts = planned_counts(store.manifest)
        held: dict[tuple[str, str, str], int] = {}
        for one in store.trials():
            key = (one.question, one.template, one.arm)
            held[key] = held.get(key, 0) + 1
    assert counts == held


def test_a_manifest_that_says_too_little_plans_an_unknown_number(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        fill(store, [asked("dust")])
        assert standing(Findings(store)) == "1 trial done of an unknown number planned, 0 failed."


def test_answers_that_nobody_graded_are_shown_as_such(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        store.add([(one := asked("dust"), response(one))])
        text = page(Findings(store))
    assert "no answer of this run has been graded" in text
    assert "Yes. It is about dust." in text
    assert "Not graded." in text


def test_a_run_in_which_all_failed_is_reported(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        store.add_errors([(asked(word), "broken") for word in WORDS])
        text = page(Findings(store))
    assert "every trial that was run failed" in text
    assert "6 failed" in text


def test_a_template_that_is_not_kept_is_said_to_be_missing(tmp_path: Path) -> None:
    with new_store(tmp_path / "run") as store:
        fill(store, [trial()])
        assert "the template t0 is not in the manifest of this run" in page(Findings(store))


def test_trials_are_the_lowest_ids_of_each_outcome(tmp_path: Path) -> None:
    hits = [asked("dust", repeat=repeat) for repeat in range(EACH + 3)]
    misses = [asked("snow", repeat=repeat) for repeat in range(2)]
    alarms, rejected = asked("dust", "none"), asked("snow", "none")
    silent, broken = asked("rain"), asked("salt")
    with new_store(tmp_path / "run", MANIFEST) as store:
        fill(store, [*hits[::-1], alarms], True)
        fill(store, [*misses, rejected], False)
        fill(store, [silent], None)
        store.add_errors([(broken, "no memory")])
        found = {outcome.name.partition(":")[0]: outcome for outcome in outcomes(store, "rules")}
    ids = {name: [example.trial.id for example in outcome.examples] for name, outcome in found.items()}
    assert ids["hit"] == sorted(one.id for one in hits)[:EACH]
    assert found["hit"].count == EACH + 3
    assert ids["miss"] == sorted(one.id for one in misses)
    assert ids["false alarm"] == [alarms.id]
    assert ids["correct rejection"] == [rejected.id]
    assert ids["unknown"] == [silent.id]
    assert ids["error"] == [broken.id]


def contrasting(store: Store, *, right: bool = True) -> None:
    """Store both questions in three arms: the concept's vector moves the question about noticing by 2, and no other."""
    answered: list[tuple[Trial, Response]] = []
    grades = []
    for place, word in enumerate(WORDS):
        for arm in ("injected", "none", "random"):
            noise = 0.1 * place if arm == "injected" else 0.0
            one = asked(word, arm)
            answered.append((one, response(one, difference=(2.0 if arm == "injected" else 0.0) + noise)))
            grades.append(grade(one, arm == "injected"))
            for fields, clean in (*plain_pair(2 * place), *plain_pair(2 * place + 1)):
                plain = replace(asked(word, arm, "unrelated"), **fields)
                answered.append((plain, response(plain, "Yes", difference=clean)))
                grades.append(replace(grade(plain, None), answer=plain.expected if right else "maybe", correct=right))
    store.add(answered, grades)


def test_the_headline_is_the_contrast_with_its_interval_and_p(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        contrasting(store)
        found = Findings(store)
        (first, second), text = headline(found), page(found)
    assert "by 2.25 (95% interval 2.05 to 2.45; p = 0.031; 6 concepts)" in first
    assert "concept vector 6 of 6 (100.0%; 95% interval 47.6% to 100.0%)" in second
    assert "no injection 0 of 6" in second
    assert "by 2.25 (95% interval 2.05 to 2.45; p = 0.031; 6 concepts)" in text


def test_a_model_that_cannot_answer_has_no_rate(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        contrasting(store, right=False)
        found = Findings(store)
        text, said = page(found), headline(found)
    assert said[0].startswith("Run for 4 loops the model cannot answer")
    assert "0 of 24 answers right" in said[0]
    assert not [sentence for sentence in said if "6 of 6" in sentence]
    (rates,) = re.findall(r'<section id="controls">.*?</section>', text, re.DOTALL)
    assert rates.count("<td>cannot answer</td>") == 15


def test_a_choice_is_held_against_chance(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        for place, word in enumerate(WORDS):
            one = asked(word, question="choose", options=("dust", "snow", word, "x"), expected=word)
            given = word if place else "x"
            store.add([(one, response(one))], [replace(grade(one, None), answer=given, correct=bool(place))])
        (said,) = headline(Findings(store))
    assert "the right answer was given in 5 of 6 (83.3%" in said
    assert "chance is 25.0% (p = 0.062, 6 concepts)" in said
    assert "With nothing injected: no answer that can be read" in said


@pytest.mark.parametrize(("injected", "none", "differs"), [(5, 2, "0.500"), (2, 5, "\N{MINUS SIGN}0.500")])
def test_where_no_option_is_right_the_share_of_the_first_is_held_against_the_controls(
    tmp_path: Path, injected: int, none: int, differs: str
) -> None:
    arms: list[tuple[Arm, int]] = [("injected", injected), ("none", none)]
    with new_store(tmp_path / "run", MANIFEST) as store:
        for arm, firsts in arms:
            for place, word in enumerate(WORDS):
                one = asked(word, arm, "choose", options=("tea", "coffee"), expected=None)
                answer = "tea" if place < firsts else "coffee"
                store.add([(one, response(one))], [replace(grade(one, None), answer=answer, correct=None)])
        (said,) = headline(Findings(store))
    shares = {2: "2 of 6 (33.3%", 5: "5 of 6 (83.3%"}
    assert f"“tea” was answered in {shares[injected]}" in said
    assert said.index(shares[injected]) < said.index("under the concept's vector and in") < said.index(shares[none])
    assert f"the share differs by {differs} (" in said


def test_the_preferred_grader_speaks_in_the_headline(tmp_path: Path) -> None:
    said = []
    for name, other in (("one", False), ("two", True)):  # the verdicts of another grader change nothing
        with new_store(tmp_path / name, MANIFEST) as store:
            for question, options in (("detect", ()), ("choose", ("dust", "x")), (questions_of("naming")[0], ())):
                one = asked("dust", question=question, options=options, expected="dust" if options else None)
                given = replace(grade(one, True), answer="dust", correct=True)
                beside = replace(given, grader="aaa", detected=other, correct=other)
                store.add([(one, response(one))], [given, beside])
            said.append(headline(Findings(store)))
    assert said[0] == said[1]
    assert sum("1 of 1 (100.0%" in sentence for sentence in said[0]) == 3


def test_who_always_says_late_is_at_chance_where_most_injections_are_late(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        for word in WORDS:
            for loop, right in enumerate(("early", "late", "late", "late")):
                one = asked(word, question="which-loop", options=("early", "late"), expected=right, repeat=loop)
                given = replace(grade(one, None), answer="late", correct=right == "late")
                store.add([(one, response(one))], [given])
        (said,) = headline(Findings(store))
    assert "the right answer was given in 18 of 24 (75.0%" in said
    assert "chance is 50.0% (p = 1, 6 concepts). Balanced over the right answers" in said
    assert "is chance: 50.0% (95% interval 50.0% to 50.0%)." in said


def test_each_span_is_cut_out_of_its_message() -> None:
    source = "<<user>>\nA <<inject>>one<</inject>> b <<inject>>two\n<<assistant>>\nstill<</inject>> out"
    found = cut(render(Template("t", source)))
    assert [message.pieces for message in found.messages] == [
        (MarkedPiece("A "), MarkedPiece("one", 1), MarkedPiece(" b "), MarkedPiece("two", 2)),
        (MarkedPiece("still", 2), MarkedPiece(" out")),
    ]
    assert (found.spans, found.goes_on) == (2, False)


def test_missing_numbers_are_said_to_be_missing() -> None:
    assert [number(None), percent(float("nan")), p_value(pd.NA)] == ["missing"] * 3
    assert interval(0.1, float("nan")) == "no interval"
    assert [number(-0.00001), number(1234567), number(0.5)] == [
        "\N{MINUS SIGN}1.00e\N{MINUS SIGN}05",
        "1,234,567",
        "0.500",
    ]
    assert [p_value(0.00001), p_value(0.0312)] == ["<0.0001", "0.031"]
    made = sheet(
        "x", "X", pd.DataFrame({"loop": [pd.NA], "k": [1], "n": [2], "rate": [0.5], "low": [0.1], "high": [0.9]})
    )
    assert made.header == ("loop", "k/n", "rate", "95% interval")
    assert made.rows == (("—", "1/2", "50.0%", "10.0% to 90.0%"),)


def test_lists_and_verdicts_are_written_in_words() -> None:
    assert [listed(items) for items in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "none",
        "a",
        "a and b",
        "a, b and c",
    ]
    shown = sheet("name", "title", pd.DataFrame({"odd": pd.Series([True, False, None], dtype="object")}))
    assert [row[0] for row in shown.rows] == ["yes", "no", MISSING]


def test_the_settings_of_the_run_are_said_and_what_the_manifest_lacks_is_missing(tmp_path: Path) -> None:
    manifest = {**MANIFEST, "strengths": [0.5, 2.0], "strength_unit": "residual", "questions": ["detect"], "sites": []}
    with new_store(tmp_path, manifest) as store:
        said = dict(settings(Findings(store)))
    assert said["questions"] == "detect"
    assert said["strengths"].startswith("0.5, 2 (")
    assert said["sites"].startswith("none (loop:layer)")
    assert said["loops run"] == MISSING


def test_a_page_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        fill(store, [asked("dust")])
        path = write_report(Findings(store))
        before = path.read_bytes()
        monkeypatch.setattr(writing, "page", lambda _: "text with \ud800, which cannot be written")
        with pytest.raises(UnicodeEncodeError):
            write_report(Findings(store))
        assert path.read_bytes() == before
        assert [each.name for each in tmp_path.rglob("*report.html*")] == ["report.html"]


def test_a_report_cannot_be_a_folder_or_lie_in_one_that_is_not_there(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        with pytest.raises(InputError, match=r"is a folder; give a file"):
            write_report(Findings(store), tmp_path)
        with pytest.raises(InputError, match=r"there is no folder"):
            write_report(Findings(store), tmp_path / "no" / "report.html")


def test_the_command_writes_the_page_and_names_it(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        fill(store, [asked("dust")])
    ran = CliRunner().invoke(app, ["report", str(tmp_path / "run")])
    assert ran.exit_code == 0
    assert "report.html" in ran.stdout
    assert (tmp_path / "run" / "report.html").read_text().startswith("<!DOCTYPE html>")
    ran = CliRunner().invoke(app, ["report", str(tmp_path / "run"), "--out", str(tmp_path / "other.html")])
    assert (tmp_path / "other.html").read_text() == (tmp_path / "run" / "report.html").read_text()
    assert CliRunner().invoke(app, ["report", str(tmp_path)]).exit_code == 2


def test_the_manifest_is_on_the_page_whole(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", {**MANIFEST, "odd": ["a<b", 1.5, None]}) as store:
        text = page(Findings(store))
    assert json.dumps(["a<b", 1.5, None]).replace('"', "&#34;").replace("<", "&lt;") in text
    assert "Do you notice an injected thought?" in text


def test_what_a_grader_never_judges_is_not_listed_for_it(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        ones = [asked("dust"), asked("snow")]
        fill(store, ones, [True, False])
        blank = {"grader": "logits", "identified": None, "coherent": None, "refused": None}
        store.put_grades([replace(grade(one, place == 0), **blank) for place, one in enumerate(ones)])
        first, more = controls(Findings(store))
    assert first.title.endswith("graded by rules")
    assert [row[:3] for row in first.rows] == [
        ("detected", "concept vector", "1/2"),
        ("identified", "concept vector", "1/2"),
        ("both", "concept vector", "1/2"),
    ]
    assert [row[:2] for row in more.rows] == [("logits", "detected"), ("rules", "coherent"), ("rules", "refused")]


def test_figures_of_other_graders_stand_aside() -> None:
    rate = {"k": 1, "n": 2, "rate": 0.5, "low": 0.1, "high": 0.9, "unknown": 0, "errors": 0, "note": None}
    cell = {"arm": "injected", "loop": 0, "layer": 0, "strength": 1.0, "measure": "detected", **rate}
    table = pd.DataFrame([{**cell, "grader": grader} for grader in ("logits", "rules", "logits2")])
    found = pictures({"rates": table}, ["rules", "logits"])["maps"]
    assert [(each.name.rpartition("=")[2], each.aside) for each in found] == [
        ("logits", True),
        ("logits2", False),
        ("rules", False),
    ]
    assert found[0].uri.startswith("data:image/png;base64,")


def test_the_analyses_in_the_run_are_on_the_page_and_their_text_is_harmless(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", MANIFEST) as store:
        assert "no analysis is in this run's folder" in page(Findings(store))
        figure = Figure(figsize=(2, 1))
        figure.subplots()
        made = Analysis(
            *("dynamics", "Do the loops settle?", {"model": HOSTILE}, ("They settle: 5 of 5 texts.", HOSTILE)),
            tables={"change": ("Change from loop to loop", pd.DataFrame({"loop": [0, 1], "change": [0.5, None]}))},
            figures={"change": ("Change from loop to loop", figure)},
            pages={"path": ("A path to turn", "<!doctype html>")},
        )
        made.write(store.folder / "analyses" / "dynamics")
        text = page(Findings(store))
    assert "They settle: 5 of 5 texts." in text
    assert '<a href="analyses/dynamics/path.html">A path to turn</a>' in text
    tags = Tags(text).tags
    assert sum(tag == "img" and (about["src"] or "").startswith("data:image/png") for tag, about in tags) == 1
    assert not [tag for tag, _ in tags if tag == "script"]
