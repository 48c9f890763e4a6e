"""A known truth counts as recovered only within its bounds, where it fits worst, and never without verdicts."""

import itertools
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from introspect.calibration import (
    EFFECT_TRUTHS,
    LEAST_CONTROLS,
    TRUTHS,
    EffectTruth,
    Truth,
    check,
    check_effect,
    primary_sweeps,
    standard_sweeps,
)
from introspect.calibration.effect_checks import ABOVE_0
from introspect.calibration.effect_measures import (
    Measured,
    beyond_another,
    beyond_text,
    plain_slope,
    primary_contrast,
)
from introspect.cli.printing import print_calibration
from introspect.concepts.sets import load_concepts
from introspect.experiment.options import Options
from introspect.records.trial import NOT_INJECTED


def table(*cells: tuple[str, list[bool | None]]) -> pd.DataFrame:
    """Make a table of trials from sites and their verdicts."""
    rows = [("injected", site, verdict) for site, verdicts in cells for verdict in verdicts]
    made = pd.DataFrame(rows, columns=["arm", "sites", "rules_detected"])
    return made.astype({"rules_detected": "boolean"}).assign(concept=range(len(made)))


def truth(low: float, high: float, by: str | None = None) -> Truth:
    return Truth("aware", "made up", low, high, lambda rows: rows["arm"] == "injected", by=by)


@pytest.mark.parametrize(
    ("low", "high", "recovered"),
    [(0.75, 1, True), (0.76, 1, False), (0, 0.75, True), (0, 0.74, False), (0.5, 0.8, True), (0.8, 0.9, False)],
)
def test_a_rate_is_recovered_exactly_within_its_bounds(low: float, high: float, recovered: bool) -> None:
    checked = check(truth(low, high), table(("0:0", [True, True, True, False])))
    assert (checked.k, checked.n, checked.rate) == (3, 4, 0.75)
    assert checked.recovered == recovered
    assert checked.low < 0.75 < checked.high


def test_answers_without_a_verdict_count_against_a_lower_bound_only() -> None:
    answers = table(("0:0", [True, True, None, None]))
    assert not check(truth(0.9, 1), answers).recovered
    assert check(truth(0.5, 1), answers).recovered
    checked = check(truth(0, 0.5), table(("0:0", [False, True, None])))
    assert (checked.rate, checked.unknown, checked.recovered) == (0.5, 1, True)


@pytest.mark.parametrize("by", [None, "sites"])
def test_without_a_verdict_nothing_is_recovered(by: str | None) -> None:
    for answers in (table(), table(("0:0", [None, None]))):
        checked = check(truth(0, 0.5, by), answers)
        assert (checked.n, checked.recovered) == (0, False)
        assert checked.rate != checked.rate


def test_the_worst_cell_is_the_one_that_counts() -> None:
    answers = table(("0:0", [True] * 4), ("0:1", [True, True, True, False]), ("1:0", [True] * 3))
    assert (lowest := check(truth(0.9, 1, "sites"), answers)).where == "0:1"
    assert not lowest.recovered
    assert check(truth(0, 0.9, "sites"), answers).where == "0:0"
    assert check(truth(0.7, 1, "sites"), answers).recovered


def test_a_cell_without_verdicts_is_worse_than_any_other() -> None:
    answers = table(("0:0", [True, False]), ("0:1", [None, None]))
    checked = check(truth(0.1, 1, "sites"), answers)
    assert (checked.where, checked.recovered) == ("0:1", False)


def test_a_cell_of_many_unknowns_is_worse_than_one_of_few() -> None:
    answers = table(("0:0", [True, True, None, None]), ("0:1", [True, True, True, False]))
    assert check(truth(0.6, 1, "sites"), answers).where == "0:0"


def test_measured_is_printed_against_known_with_a_verdict_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    answers = table(("0:0", [True] * 19 + [False]), ("0:1", [True, None, None]))
    print_calibration([check(truth(0, 1), answers), check(truth(0.9, 1, "sites"), answers)], Path("runs/here"))
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[1] == "aware made up at least 0% 95.2% [75.7%, 99.2%] 20/21 2 recovered"
    assert lines[2] == "aware made up (worst: sites 0:1) at least 90% 100.0% [0.6%, 100.0%] 1/1 2 NOT RECOVERED"
    assert lines[-1] == "1 of 2 known truths recovered; runs in runs/here"


def test_every_organism_has_its_truths_and_no_claim_is_beyond_measure() -> None:
    assert {truth.organism for truth in TRUTHS} == {"aware", "last-loop", "blind", "huginn", "gauge", "locator"}
    for known in TRUTHS:
        assert 0 <= known.low < known.high <= 1
        assert (known.low, known.high) != (0, 1), f"{known.claim!r} would be recovered by anything"


@cache
def swept(organism: str) -> pd.DataFrame:
    """Return a row for every cell of an organism's standard sweeps."""
    return pd.DataFrame(
        [
            {"arm": arm, "question": question, "strength": float(strength), "loop": loop, "layer": layer}
            for options in standard_sweeps(organism, Path("runs"))
            for arm in options.arms.split(",")
            for question in options.questions.split(",")
            for strength in options.strengths.split(",")
            for loop in range(4)
            for layer in (range(4) if options.layers == "all" else [int(options.layers)])
        ]
    )


@pytest.mark.parametrize("known", TRUTHS, ids=lambda known: f"{known.organism} {known.claim}")
def test_every_truth_is_about_trials_that_are_swept(known: Truth) -> None:
    assert known.select(swept(known.organism)).any()


def test_the_standard_sweeps_have_enough_controls_to_bound_false_alarms() -> None:
    cells, none, *others = standard_sweeps("aware", Path("runs"))
    words = load_concepts("organisms").in_splits("held-out").words
    assert isinstance(cells, Options)
    assert none.repeats * len(words) > LEAST_CONTROLS
    assert (cells.arms, none.arms) == ("injected,random", "none")
    asked = ["unrelated", "prior", "choose", "localise", "identify", "third-person", "detect"]
    assert [options.questions for options in others] == asked
    folders = {options.folder for options in (cells, none, *others)}
    assert len(folders) == 2 + len(others)


def trial(arm: str, question: str, loop: int | None = None, layer: int | None = None) -> dict[str, object]:
    strength = None if loop is None else 2.0
    return {"arm": arm, "question": question, "loop": loop, "layer": layer, "strength": strength}


@pytest.mark.slow
def test_every_truth_is_about_one_question_and_finds_its_trials_in_the_standard_sweeps() -> None:
    """What the sweeps of an organism ask for, at strength 2, and what the truths about it select."""
    for known in TRUTHS:
        if "strength 1" in known.claim or "strength 0.5" in known.claim:
            continue
        rows = []
        for options in standard_sweeps(known.organism, Path("runs")):
            layers = (1,) if options.layers != "all" else range(3 if known.organism == "huginn" else 4)
            sites = [(loop, layer) for loop in range(4) for layer in layers]
            for arm in str(options.arms).split(","):
                at = [()] if arm in NOT_INJECTED else sites
                rows += [trial(arm, str(options.questions), *site) for site in at]
        table = pd.DataFrame(rows)
        chosen = table[known.select(table)]
        assert len(chosen), known.claim
        assert chosen["question"].nunique() == chosen["arm"].nunique() == 1
        assert not ((chosen["loop"] == 3) & (chosen["layer"] == 3)).any()


def test_a_truth_about_one_question_is_measured_on_no_other() -> None:
    (known,) = (each for each in TRUTHS if (each.organism, each.claim) == ("aware", "answers plain questions"))
    answers = pd.DataFrame(
        [
            trial("none", "unrelated"),
            trial("none", "unrelated"),
            trial("none", "choose"),
            trial("injected", "unrelated", 1, 1),
        ]
    )
    answers["concept"] = range(4)
    answers["rules_correct"] = pd.array([True, False, True, True], dtype="boolean")
    checked = check(known, answers)
    assert (checked.k, checked.n) == (1, 2)


def primary(effect: float, early: float) -> pd.DataFrame:
    """Make narrow trials of twelve concepts whose vectors move noticing in the last loop, and in earlier ones."""
    rows = []
    for number in range(12):
        asked = [("detect", 0, -8.0), ("unrelated", 1, 3.0 + number % 5), ("unrelated", 2, -4.0 - number % 7)]
        for question, text, clean in asked:
            own = {"concept": f"c{number}", "question": question, "asked": text, "repeat": 0, "n_loops": 4}
            rows.append({**own, "arm": "none", "difference": clean})
            for loop, arm in itertools.product(range(4), ("injected", "random")):
                noise = ((7 * number + 3 * text + 5 * loop + len(arm)) % 11 - 5) / 20
                beyond = (effect if loop == 3 else early) * (question == "detect" and arm == "injected")
                at = {"loop": loop, "layer": 1, "strength": 2.0}
                rows.append({**own, **at, "arm": arm, "difference": 2 + 0.6 * clean + beyond + noise})
    return pd.DataFrame(rows).astype({"loop": "Int64", "layer": "Int64"})


PRIMARY = [truth for truth in EFFECT_TRUTHS if truth.measure is primary_contrast]


def test_a_primary_contrast_is_recovered_where_it_is_known_to_be_and_only_there() -> None:
    for truth in PRIMARY:
        of_loops = primary(3.0, 3.0) if truth.organism == "aware" else primary(3.0, 0.0)
        right = primary(0.0, 0.0) if truth.organism == "blind" else of_loops
        assert check_effect(truth, right).recovered, truth
        wrong = primary(0.0, 0.0) if truth.inside else primary(3.0, 3.0)
        assert not check_effect(truth, wrong).recovered, truth


def test_a_primary_contrast_that_is_missing_is_not_recovered_either_way() -> None:
    trials = primary(0.0, 0.0)
    trials.loc[trials["arm"] == "random", "difference"] = float("nan")
    for truth in PRIMARY:
        checked = check_effect(truth, trials)
        assert (checked.found.n, checked.recovered) == (0, False)


@pytest.mark.parametrize(
    ("inside", "interval", "recovered"),
    [
        (None, (-0.1, 0.1), True),
        (None, (0.1, 0.2), False),
        (ABOVE_0, (0.1, 9.0), True),
        (ABOVE_0, (-0.1, 9.0), False),
        ((-0.5, 0.5), (-0.4, 0.4), True),
        ((-0.5, 0.5), (-0.6, 0.4), False),
        ((-0.5, 0.5), (-0.4, 0.6), False),
        (None, (float("nan"), float("nan")), False),
        ((-0.5, 0.5), (float("nan"), float("nan")), False),
    ],
)
def test_an_effect_is_recovered_only_with_all_of_its_interval_inside(
    inside: tuple[float, float] | None, interval: tuple[float, float], recovered: bool
) -> None:
    truth = EffectTruth("aware", "made up", inside, (0,), lambda _: Measured(0.0, *interval, n=12))
    assert check_effect(truth, primary(0.0, 0.0)).recovered is recovered


def beside(text: float, another: float) -> pd.DataFrame:
    """Make narrow trials: the vector moves noticing by 3, the word in the text by `text`, the twin by `another`."""
    trials = primary(3.0, 3.0)
    written = trials[(trials["arm"] == "random") & (trials["loop"] == 0)].copy()
    written["difference"] += text * (written["question"] == "detect")
    written = written.assign(arm="text", loop=None, layer=None, strength=float("nan"))
    twin = trials[trials["question"] == "detect"].assign(question="third-person")
    twin["difference"] += (another - 3.0) * (twin["arm"] == "injected")
    made = pd.concat([trials, written.astype({"loop": "Int64", "layer": "Int64"}), twin], ignore_index=True)
    plain = made["question"] == "unrelated"
    own = made["asked"] + 2 * made["concept"].str[1:].astype(int) * plain
    unknown = pd.array([None] * len(made), dtype="boolean")
    constant = {"state": "done", "sites": None, "extract_loop": None, "entropy": 0.0}
    return made.assign(
        **constant,
        template=made["question"],
        expected=made["asked"].map({1: "yes", 2: "no"}),
        asked=own,
        rules_detected=unknown,
        rules_identified=unknown,
    )


def test_what_exceeds_the_text_and_another_model_is_what_was_put_there() -> None:
    """The vector moves noticing by 3, the word in the text by 1, the question about another model by 2."""
    of = {measure: measure(beside(1.0, 2.0)) for measure in (beyond_text, beyond_another)}
    assert of[beyond_text].mean == pytest.approx(2.0, abs=0.3)
    assert of[beyond_another].mean == pytest.approx(1.0, abs=0.05)
    none = beyond_another(beside(1.0, 3.0))
    assert none.low <= 0 <= none.high


def test_the_slope_of_plain_questions_is_what_they_lose() -> None:
    """`primary` leaves 0.6 of each clean logit."""
    found = plain_slope(beside(0.0, 0.0))
    assert found.mean == pytest.approx(-0.4, abs=0.05)
    assert found.n == 12


def test_the_sweeps_of_the_primary_contrast_have_all_parts() -> None:
    options, about_another = primary_sweeps("blind", Path("runs"))
    assert set(str(options.arms).split(",")) == {"injected", "none", "random", "text"}
    assert set(str(options.questions).split(",")) == {"detect", "unrelated"}
    assert (about_another.questions, about_another.arms) == ("third-person", "injected,none,random")
    assert len(options.words()) >= 10
    assert len(primary_sweeps("last-loop", Path("runs"))) == 1
