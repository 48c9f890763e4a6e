"""Graders against one another and against labels: what is weighted, what is corrected, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commanded import introspect, refused
from graded import by_arm, fill_in, grader, run, trials
from sklearn.metrics import cohen_kappa_score

from introspect.records.response import Grade
from introspect.records.trial import Trial
from introspect.results.statistics.agreement import agreement, calibration, corrected_rate
from introspect.results.statistics.intervals import wilson
from introspect.results.statistics.sizes import effective_size
from introspect.results.statistics.strata import even_sample
from introspect.results.tables.rates.agreement import agreement_table, corrected_table, uncovered

YES_NO = {True: "yes", False: "no", None: ""}


def early(one: Trial) -> bool:
    """Call detected what is injected in loop 0."""
    return one.arm == "injected" and one.injection is not None and one.injection.sites[0].loop == 0


def mute(grade: Grade) -> Grade:
    return replace(grade, coherent=None, refused=None)


def truth(one: Trial) -> dict[str, str]:
    return dict.fromkeys(("detected", "identified"), YES_NO[by_arm(one)]) | {"coherent": "yes"}


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def verdicts(values: np.ndarray) -> pd.Series:
    return pd.Series(values).astype("boolean")


def simulated(seed: int, concepts: int = 40, cells: int = 4, lasting: float = 0) -> pd.DataFrame:
    """Simulate a run with labels on an even sample: a grader that finds 90% of what is yes, and calls 20% of the rest.

    In the arm injected 50% are truly yes, in random 10%; `lasting` makes the trials of a concept alike.
    """
    rng = np.random.default_rng(seed)
    arm, cell, concept = (each.ravel() for each in np.indices((2, cells, concepts)))
    own = rng.random(concepts)[concept]
    drawn = np.where(rng.random(len(concept)) < lasting, own, rng.random(len(concept)))
    yes = drawn < np.where(arm == 1, 0.5, 0.1)
    said = np.where(yes, rng.random(len(yes)) < 0.9, rng.random(len(yes)) < 0.2)
    frame = pd.DataFrame({"concept": concept, "cell": cell + cells * arm, "loop": cell, "layer": 0, "strength": 1.0})
    frame = frame.assign(arm=np.where(arm == 1, "injected", "random"), question="detect", template="t", expected=None)
    frame = frame.assign(sites="0:0", extract_loop=0, n_loops=4, model_detected=verdicts(said), yes=yes)
    frame["trial"] = np.arange(len(frame))
    drawn_for = even_sample(frame, 120, seed=seed)["trial"]
    frame["labelled"] = frame["trial"].isin(drawn_for)
    frame["human_detected"] = verdicts(yes).where(frame["labelled"])
    blank = verdicts(np.full(len(frame), None))
    for name in ("identified", "coherent", "refused", "correct", "answer"):
        frame = frame.assign(**{f"model_{name}": blank, f"human_{name}": blank})
    return frame


def test_kappa_is_that_of_scikit_learn_weights_and_answers_included() -> None:
    rng = np.random.default_rng(0)
    first, weights = pd.Series(rng.choice(["a", "b", "c"], 200)).astype("str"), pd.Series(rng.random(200))
    second = first.where(rng.random(200) < 0.7, "a")
    assert agreement(first, second).kappa == pytest.approx(cohen_kappa_score(first, second))
    found = agreement(first, second, weights=weights)
    assert found.kappa == pytest.approx(cohen_kappa_score(first, second, sample_weight=weights))
    assert found.low < found.kappa < found.high
    assert found.high - found.low > agreement(first, second).high - agreement(first, second).low


def test_the_interval_of_many_categories_is_that_of_all_pairs_of_them() -> None:
    rng = np.random.default_rng(1)
    first = pd.Series(rng.choice(list("abcdefgh"), 300)).astype("str")
    second = first.where(rng.random(300) < 0.8, "a")
    few = agreement(first, second)
    # a ninth category, once, is drawn in the other way
    many = agreement(pd.concat([first, pd.Series(["z"])]), pd.concat([second, pd.Series(["z"])]))
    assert (many.low, many.high) == pytest.approx((few.low, few.high), abs=0.01)


def test_trials_that_share_a_concept_or_a_weight_are_worth_fewer() -> None:
    values, concepts = pd.Series([1.0, 0, 1, 0] * 10), pd.Series(np.arange(40) // 4)
    assert effective_size(values) == 40
    # within a concept they differ as much as anywhere, for which 10 concepts are evidence and not proof
    assert 34 < effective_size(values, concepts) < 40
    assert effective_size(pd.Series(np.arange(40) // 4 % 2), concepts) == pytest.approx(10)
    assert effective_size(pd.Series(np.ones(40)), concepts) == pytest.approx(10)  # nothing varies: nobody knows
    assert effective_size(values, weights=pd.Series([3.0] * 20 + [1.0] * 20)) == pytest.approx(80**2 / 200)
    assert effective_size(values[:0], concepts[:0]) == 0


def test_weights_and_concepts_change_what_labels_are_worth_and_not_their_number() -> None:
    labels, graded = verdicts(np.array([1, 1, 1, 1, 0, 0], bool)), verdicts(np.array([1, 1, 1, 0, 0, 1], bool))
    weights = pd.Series([1.0, 1, 1, 5, 1, 1])
    found = calibration(graded, labels, weights=weights)
    assert found.sensitivity[0] == pytest.approx(3 / 8)
    assert found.yes == pytest.approx(64 / 28)
    assert found.specificity[0] == 0.5
    assert calibration(graded, labels).sensitivity[1] > found.sensitivity[1]


def test_sensitivity_is_that_of_the_run_though_the_labels_are_even_over_cells(tmp_path: Path) -> None:
    # the arm none has a seventh of the cells, and so of the labels, but most of the trials
    made = [*trials(concepts=12), *(one for one in trials(concepts=12, repeats=30) if one.arm == "none" and one.repeat)]
    folder = run(tmp_path / "run", made, grader("rules", lambda one: one.arm == "none"))
    introspect("label", folder, "--n", 70)
    fill_in(folder / "labels.csv", tmp_path / "f.csv", folder, lambda _: {"detected": "yes"})
    assert introspect("agree", folder, "--labels", tmp_path / "f.csv")[0] == 0
    found = table(folder, "agreement").set_index("measure").loc["detected"]
    assert (found["n"], found["same"]) == (70, 10)
    assert found["sensitivity"] == pytest.approx(360 / 432)
    assert np.isnan(found["specificity"])


def test_two_graders_are_compared_on_what_both_are_asked(tmp_path: Path) -> None:
    asked = [*trials(), *trials(question="unrelated", expected="yes")]
    same = {"answer": "yes", "correct": True}
    folder = run(tmp_path / "run", asked, grader("judge", early, **same), grader("rules", by_arm, **same))
    code, out, err = introspect("agree", folder)
    assert (code, err) == (0, "")
    found = table(folder, "agreement").set_index("measure")
    assert found.loc["detected", ["first", "second", "n", "same"]].tolist() == ["judge", "rules", 84, 60]
    assert found.loc["correct", "n"] == found.loc["answer", "n"] == 84
    assert np.isnan(found.loc["correct", "kappa"])
    assert "no kappa where both sides give one and the same verdict throughout" in out
    assert "sensitivity" not in found
    assert not (folder / "tables" / "corrected.csv").exists()


def test_labels_correct_the_rates_of_every_arm_and_cell(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", trials(concepts=30), grader("rules", early), grader("judge", by_arm))
    introspect("label", folder, "--n", 140)
    fill_in(folder / "labels.csv", tmp_path / "filled.csv", folder, truth)
    code, out, err = introspect("agree", folder, "--labels", tmp_path / "filled.csv")
    assert (code, err) == (0, "")
    found = table(folder, "agreement").set_index(["first", "second", "measure"])
    assert set(found.index.droplevel("measure")) == {("judge", "rules"), ("judge", "human"), ("rules", "human")}
    assert found.loc[("rules", "human", "detected"), "sensitivity"] == pytest.approx(1 / 3)
    assert found.loc[("judge", "human", "detected"), ["sensitivity", "specificity"]].tolist() == [1, 1]
    corrected = table(folder, "corrected").set_index(["grader", "measure", "pooled", "arm"]).sort_index()
    arms = corrected.loc[("rules", "detected", "arm")]
    assert arms.loc["injected", ["k", "n"]].tolist() == [30, 90]
    assert arms.loc["injected", "corrected"] == pytest.approx(1)
    assert arms.loc["injected", "corrected_low"] > arms.loc["injected", "high"]
    assert arms.loc["none", "corrected"] == arms.loc["random", "corrected"] == 0
    assert len(corrected.loc[("rules", "detected", "cell", "injected")]) == 3
    assert np.isnan(corrected.loc[("rules", "coherent", "arm", "injected"), "corrected"])  # no label is no
    assert "corrected by the labels" in out


def test_an_arm_without_a_label_is_named() -> None:
    frame = simulated(0)
    assert uncovered(frame) == []
    assert uncovered(frame.assign(labelled=frame["labelled"] & (frame["arm"] == "random"))) == ["injected detect"]


def test_the_answer_of_a_choice_is_compared_as_it_is(tmp_path: Path) -> None:
    asked = trials(question="choose", options=("dust", "snow", "ant"), expected=None)
    answers = [
        lambda one, shift=shift: replace(
            grader(f"g{shift}", lambda _: None)(one), answer="dust" if one.arm == "none" else ("snow", "ant")[shift]
        )
        for shift in (0, 1)
    ]
    folder = run(tmp_path / "run", asked, *answers)
    introspect("agree", folder)
    found = table(folder, "agreement").set_index("measure")
    assert found.loc["answer", ["n", "same"]].tolist() == [84, 12]
    assert "correct" not in found.index


def test_a_grader_alone_and_one_that_is_not_there_are_refused(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", trials(concepts=1), grader("rules", by_arm))
    assert "one grader, rules, and none to compare; give --labels" in refused("agree", folder)
    assert "unknown grader of this run 'judge'; known: rules" in refused("agree", folder, "--graders", "rules,judge")
    bare = run(tmp_path / "bare", trials(concepts=1))
    assert "no grader, and none to compare" in refused("agree", bare)
    silent = grader("silent", lambda _: None)
    unlike = run(tmp_path / "unlike", trials(concepts=1), grader("rules", by_arm), lambda one: mute(silent(one)))
    assert "rules, silent have no verdict on the same measure to compare" in refused("agree", unlike)
    assert not (unlike / "tables").exists()


@pytest.mark.slow
def test_the_corrected_rate_of_a_run_covers_the_truth_and_the_graded_one_does_not() -> None:
    covered, raw, widths = [], [], []
    for seed in range(80):
        frame = simulated(seed)
        arms = corrected_table(frame, ["model"]).query("pooled == 'arm'").set_index("arm")
        for arm, share in (("injected", 0.5), ("random", 0.1)):
            row = arms.loc[arm]
            covered.append(row["corrected_low"] <= share <= row["corrected_high"])
            raw.append(row["low"] <= share <= row["high"])
            widths.append(row["corrected_high"] - row["corrected_low"])
    assert np.mean(covered) >= 0.9
    assert np.mean(raw) < 0.75
    assert np.mean(widths) < 0.5


def test_trials_that_are_alike_within_a_concept_widen_the_interval() -> None:
    found = [corrected_table(simulated(3, lasting=lasting), ["model"]).query("pooled == 'arm'") for lasting in (0, 0.9)]
    assert (found[1]["independent"] < 0.75 * found[0]["independent"]).any()
    assert (found[0]["independent"] <= found[0]["n"]).all()


def test_kappa_of_a_run_is_over_all_its_trials_with_an_interval_over_concepts() -> None:
    frame = simulated(0, lasting=0.9).assign(second_detected=lambda one: verdicts(one["yes"].to_numpy()))
    for name in ("identified", "coherent", "refused", "correct", "answer"):
        frame[f"second_{name}"] = frame[f"model_{name}"]
    found = agreement_table(
        frame.drop(columns=[name for name in frame if name.startswith("human")]), ["model", "second"]
    )
    plain = agreement(frame["model_detected"], frame["second_detected"])
    assert found.loc[0, "n"] == len(frame)
    assert found.loc[0, "kappa"] == pytest.approx(plain.kappa)
    assert found.loc[0, "high"] - found.loc[0, "low"] >= plain.high - plain.low


def erring(seed: int, labels: int = 240) -> pd.DataFrame:
    """Simulate a run whose grader calls 30% of what is not there yes in the arm injected, and 2% in random."""
    frame = simulated(seed, cells=8)
    rng, injected = np.random.default_rng(seed + 10_000), frame["arm"] == "injected"
    said = np.where(frame["yes"], rng.random(len(frame)) < 0.9, rng.random(len(frame)) < np.where(injected, 0.3, 0.02))
    frame["model_detected"] = verdicts(said)
    frame["labelled"] = frame["trial"].isin(even_sample(frame, labels, seed=seed)["trial"])
    frame["human_detected"] = verdicts(frame["yes"].to_numpy()).where(frame["labelled"])
    return frame


@pytest.mark.slow
def test_errors_that_differ_between_arms_are_taken_from_each_and_the_corrected_rate_covers_the_truth() -> None:
    covered, pooled = [], []
    for seed in range(80):
        frame = erring(seed)
        arms = corrected_table(frame, ["model"]).query("pooled == 'arm'").set_index("arm")
        assert arms.loc["injected", "errors_of"] == "its arm"
        sheet = frame[frame["labelled"]]
        both = calibration(sheet["model_detected"], sheet["human_detected"], concepts=sheet["concept"])
        for arm, share in (("injected", 0.5), ("random", 0.1)):
            row = arms.loc[arm]
            covered.append(row["corrected_low"] <= share <= row["corrected_high"])
            _, low, high = corrected_rate(row["rate"] * row["independent"], row["independent"], both)
            pooled.append(low <= share <= high)
    assert np.mean(covered) >= 0.92
    assert np.mean(pooled) < np.mean(covered) - 0.1


def test_an_arm_with_too_few_labels_is_corrected_by_all_arms_and_says_so() -> None:
    frame = erring(0, labels=40)
    arms = corrected_table(frame, ["model"]).query("pooled == 'arm'").set_index("arm")
    assert arms.loc["random", "errors_of"] == "sensitivity: all arms; specificity: its arm"
    few = frame.assign(human_detected=frame["human_detected"].where(frame["arm"] == "injected"))
    arms = corrected_table(few, ["model"]).query("pooled == 'arm'").set_index("arm")
    assert arms.loc["random", "errors_of"] == "all arms"


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(("concepts", "repeats"), [(8, 6), (24, 4)])
def test_the_interval_of_kappa_covers_the_truth_where_trials_of_a_concept_are_alike(
    concepts: int, repeats: int
) -> None:
    def drawn(seed: int, n: int) -> tuple[pd.Series, pd.Series, pd.Series]:
        rng, concept = np.random.default_rng(seed), np.repeat(np.arange(n), repeats)
        truth = rng.random(n)[concept] < 0.4
        slips = rng.beta(0.3, 1.7, n)[concept]  # some concepts are hard for both graders
        first, second = (np.where(rng.random(len(truth)) < slips, ~truth, truth) for _ in range(2))
        return verdicts(first), verdicts(second), pd.Series(concept)

    first, second, _ = drawn(0, 40_000)
    truth = agreement(first, second).kappa
    found = {True: [], False: []}
    for seed in range(1, 250):
        one, other, about = drawn(seed, concepts)
        for clustered in found:
            each = agreement(one, other, concepts=about if clustered else None)
            if not np.isnan(each.kappa):
                found[clustered].append(each.low <= truth <= each.high)
    assert np.mean(found[True]) >= 0.92
    assert np.mean(found[False]) < np.mean(found[True]) - 0.03


def test_sensitivity_of_few_concepts_has_the_quantile_of_t() -> None:
    labels, graded = verdicts(np.ones(6, bool)), verdicts(np.array([1, 1, 1, 1, 1, 0], bool))
    found = calibration(graded, labels, concepts=pd.Series(range(6)))
    low, high = wilson(5, 6, freedom=5)
    assert found.sensitivity == pytest.approx((5 / 6, float(low), float(high)))
