"""The primary contrast: what it is blind to, what it finds, against scipy and on maps of pure noise."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.statistics import WORLDS
from benchmarks.statistics import simulated as simulated_runs
from introspect.errors import InputError
from introspect.results.statistics.contrasts import (
    concept_effects,
    concept_lines,
    contrasts_table,
    leanings,
    overall_contrasts,
)
from introspect.results.statistics.flips import sign_flips

COLUMNS = ["concept", "arm", "question", "asked", "loop", "layer", "strength", "repeat", "difference"]
PAIRS = ["repeat", "asked"]


def simulated(
    concepts: int,
    loops: int,
    *,
    effect: float = 0,
    noticed_push: float = 0,
    yes: float = 0,
    slopes: tuple[float, float] = (0.0, 0.0),
    noise: float = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """Two plain questions of either answer and one detection question a concept, moved along the line of each arm."""
    rng = np.random.default_rng(seed)
    rows = []
    for concept in range(concepts):
        for question, repeat, center in [("detect", 0, -7), *(("unrelated", r, c) for r in (0, 1) for c in (-6, 5))]:
            asked = int(center > 0)
            base = rng.normal(center, 1.5)
            rows.append((f"c{concept}", "none", question, asked, pd.NA, pd.NA, np.nan, repeat, base))
            for arm, slope in zip(("injected", "random"), slopes, strict=True):
                beyond = (question == "detect") * (noticed_push + effect * (arm == "injected"))
                values = base + yes + slope * base + beyond + rng.normal(0, noise, loops)
                rows += [
                    (f"c{concept}", arm, question, asked, at, 1, 2.0, repeat, value) for at, value in enumerate(values)
                ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"loop": "Int64", "layer": "Int64"})


def test_a_push_towards_yes_on_every_question_is_no_effect() -> None:
    effects = concept_effects(simulated(6, 2, yes=7, noise=0), pairs=PAIRS)
    assert effects[["injected", "random", "contrast"]].to_numpy() == pytest.approx(0, abs=1e-9)


def test_a_push_that_is_noticed_whatever_its_direction_is_no_contrast() -> None:
    effects = concept_effects(simulated(6, 2, noticed_push=3, noise=0), pairs=PAIRS)
    assert effects["injected"].to_numpy() == pytest.approx(3)
    assert effects["contrast"].to_numpy() == pytest.approx(0, abs=1e-9)


def test_the_planted_effect_is_found_exactly_without_noise() -> None:
    effects = concept_effects(simulated(6, 2, effect=2, yes=7, noticed_push=3, noise=0), pairs=PAIRS)
    assert effects["injected"].to_numpy() == pytest.approx(5)
    assert effects["contrast"].to_numpy() == pytest.approx(2)


@pytest.mark.parametrize("slopes", [(-0.4, -0.4), (-0.7, -0.2), (-1.0, 0.3)])
def test_a_pull_of_all_logits_towards_0_is_no_effect_and_hides_none(slopes: tuple[float, float]) -> None:
    quiet = concept_effects(simulated(12, 1, slopes=slopes, yes=3, noise=0), pairs=PAIRS)
    assert quiet[["injected", "random", "contrast"]].to_numpy() == pytest.approx(0, abs=1e-9)
    moved = concept_effects(simulated(12, 1, slopes=slopes, yes=3, effect=1, noticed_push=2, noise=0), pairs=PAIRS)
    assert moved["injected"].to_numpy() == pytest.approx(3)
    assert moved["contrast"].to_numpy() == pytest.approx(1)


def test_slope_and_intercept_of_every_arm_are_those_that_were_planted() -> None:
    trials = simulated(12, 2, slopes=(-0.7, -0.2), yes=3, noise=0).assign(entropy=1.0)
    trials.loc[trials["arm"] == "random", "entropy"] = 1.5
    lines = concept_lines(trials, arms=["injected", "random"], pairs=PAIRS).set_index("arm")
    assert lines.loc["injected", "slope"].to_numpy() == pytest.approx(-0.7)
    assert lines.loc["random", "slope"].to_numpy() == pytest.approx(-0.2)
    assert lines["intercept"].to_numpy() == pytest.approx(3)
    assert lines.loc["random", "entropy"].to_numpy() == pytest.approx(0.5)
    assert lines.loc["injected", "entropy"].to_numpy() == pytest.approx(0)


def test_the_values_are_those_of_least_squares_without_each_concept_in_turn() -> None:
    trials = simulated(7, 1, effect=1, slopes=(-0.5, -0.1), seed=3)
    found = concept_effects(trials, pairs=PAIRS).set_index("concept")

    def estimate(arm: str, left_out: str | None) -> float:
        wide = trials[trials["concept"] != left_out].set_index(["concept", "question", "asked", "repeat", "arm"])
        both = wide["difference"].unstack("arm")
        both["shift"] = both[arm] - both["none"]
        plain, asked = (both.xs(question, level="question") for question in ("unrelated", "detect"))
        slope, intercept = np.polyfit(plain["none"], plain["shift"], 1)
        return float(asked["shift"].mean() - intercept - slope * asked["none"].mean())

    for arm in ("injected", "random"):
        whole = estimate(arm, None)
        expected = [7 * whole - 6 * estimate(arm, f"c{concept}") for concept in range(7)]
        assert found[arm].to_numpy() == pytest.approx(expected)
        assert found[arm].mean() == pytest.approx(whole, abs=0.2)
    assert found["contrast"].to_numpy() == pytest.approx((found["injected"] - found["random"]).to_numpy())


def test_without_a_spread_of_clean_logits_there_is_no_line_and_no_effect() -> None:
    trials = simulated(8, 1, effect=1)
    alike = trials["question"].eq("unrelated") & trials["arm"].eq("none")
    trials.loc[alike, "difference"] = 2.0
    assert concept_effects(trials, pairs=PAIRS)[["injected", "random", "contrast"]].isna().all(axis=None)


@pytest.mark.parametrize("name", WORLDS)
def test_in_simulated_worlds_the_contrast_is_unbiased_covers_and_holds_its_level(name: str) -> None:
    world = WORLDS[name]
    found = simulated_runs(world, 24, 400, flips=199, seed=1)
    assert abs(found.bias) < 4 * found.bias_error
    assert 0.95 - 4 * 0.011 <= found.coverage <= 0.995  # 0.011: the standard error of 400 runs
    if world.contrast == 0:
        assert found.rejected <= 0.05 + 4 * 0.011
    else:
        assert found.rejected > 0.5


def test_the_mean_of_plain_questions_calls_unequal_compression_noticing() -> None:
    assert simulated_runs(WORLDS["compression, unequal"], 24, 50, flips=19).of_mean > 2


@pytest.mark.parametrize("arm", ["injected", "random", "none"])
def test_a_concept_with_a_missing_part_is_dropped_and_counted(arm: str) -> None:
    trials = simulated(8, 1, effect=1)
    gone = (trials["concept"] == "c3") & (trials["arm"] == arm) & (trials["repeat"] == 0)
    missing, removed = trials.assign(difference=trials["difference"].mask(gone)), trials[~gone]
    for broken in (missing, removed):
        table = contrasts_table(concept_effects(broken, pairs=PAIRS)).set_index("effect")
        whole = concept_effects(trials[trials["concept"] != "c3"], pairs=PAIRS)
        assert table.loc["contrast", ["n", "dropped"]].tolist() == [7, 1]
        # the line of the other arm still has that concept's plain questions
        assert table.loc["contrast", "mean"] == pytest.approx(whole["contrast"].mean(), abs=0.03)


def test_without_a_random_arm_the_contrast_is_missing_and_the_effect_is_not() -> None:
    trials = simulated(6, 1, effect=1)
    table = contrasts_table(concept_effects(trials[trials["arm"] != "random"])).set_index("effect")
    assert table["n"].to_dict() == {"injected": 6, "random": 0, "contrast": 0}
    assert np.isnan(table.loc["contrast", "p"])


def test_trials_without_unrelated_questions_are_refused() -> None:
    trials = simulated(6, 1)
    with pytest.raises(InputError, match="arm 'injected' and question 'unrelated'; there are none"):
        concept_effects(trials[trials["question"] == "detect"])


def test_sites_in_several_loops_have_a_cell_of_their_own() -> None:
    trials = simulated(6, 2, effect=1)
    several = trials[trials["loop"] == 1].assign(loop=pd.NA).astype({"loop": "Int64"})
    both = contrasts_table(concept_effects(pd.concat([trials, several], ignore_index=True)))
    alike = both[both["effect"] == "contrast"].fillna({"loop": -1}).set_index("loop")["mean"]
    assert sorted(alike.index) == [-1, 0, 1]
    assert alike[-1] == pytest.approx(alike[1])


@pytest.mark.parametrize(("concepts", "within"), [(9, 1e-12), (30, 0.02)])
def test_sign_flips_of_one_cell_are_the_permutation_test_of_scipy(concepts: int, within: float) -> None:
    values = np.random.default_rng(2).normal(0.3, 1, concepts)
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=2**9 if concepts == 9 else 9999, rng=0
    )
    found = sign_flips(values[:, None])
    assert found.p[0] == pytest.approx(expected.pvalue, abs=within)
    assert found.p[0] == found.p_map[0]
    assert found.t[0] == pytest.approx(stats.ttest_1samp(values, 0).statistic)


def test_the_corrected_p_is_that_of_a_plain_loop_over_all_flips() -> None:
    values = np.random.default_rng(4).normal(0.5, 1, (7, 3))
    values[2, 1] = np.nan
    observed = [abs(stats.ttest_1samp(column[np.isfinite(column)], 0).statistic) for column in values.T]
    largest = []
    for number in range(2**7):
        flipped = values * [[-1 if number >> bit & 1 else 1] for bit in range(7)]
        largest.append(max(abs(stats.ttest_1samp(column, 0, nan_policy="omit").statistic) for column in flipped.T))
    expected = [np.mean([each >= one - 1e-9 for each in largest]) for one in observed]
    assert sign_flips(values).p_map == pytest.approx(expected)


def test_values_that_are_all_alike_have_the_smallest_p_and_zeros_have_1() -> None:
    found = sign_flips(np.column_stack([np.full(6, 0.1), np.zeros(6)]))
    assert found.p == pytest.approx([2 / 2**6, 1])
    assert np.isinf(found.t[0])


def test_a_cell_with_one_concept_is_not_tested_and_harms_no_other() -> None:
    values = np.random.default_rng(1).normal(1, 1, (8, 2))
    values[1:, 1] = np.nan
    found = sign_flips(values)
    assert np.isnan([found.t[1], found.p[1], found.p_map[1]]).all()
    assert found.p_map[0] == sign_flips(values[:, :1]).p_map[0]


@pytest.mark.parametrize("concepts", [10, 24])
def test_noise_is_called_an_effect_in_at_most_5_percent_of_cells_and_of_maps(concepts: int) -> None:
    rng = np.random.default_rng(0)
    shared = rng.standard_t(3, (600, concepts, 1))  # heavy tails, and cells that depend on one another
    maps = shared + rng.standard_t(3, (600, concepts, 12))
    tests = [sign_flips(each, flips=399, seed=seed) for seed, each in enumerate(maps)]
    # 600 maps: 5% is known to 2.7% at three standard errors
    assert np.mean([test.p[0] <= 0.05 for test in tests]) <= 0.077
    assert 0.02 <= np.mean([test.p_map.min() <= 0.05 for test in tests]) <= 0.077
    assert np.mean([test.p.min() <= 0.05 for test in tests]) > 0.15


def test_a_strong_cell_survives_the_correction() -> None:
    rng = np.random.default_rng(1)
    found = [sign_flips(rng.normal(0, 1, (20, 24)) + 1.5 * (np.arange(24) == 7), flips=399) for _ in range(50)]
    assert np.mean([test.p_map[7] <= 0.05 for test in found]) > 0.9


def test_the_interval_covers_the_planted_effect_and_the_test_holds_its_level() -> None:
    trials = simulated(15, 1000, effect=0.5, yes=1, noticed_push=1)
    table = contrasts_table(concept_effects(trials, pairs=PAIRS), flips=199)
    contrast, injected = (table[table["effect"] == effect] for effect in ("contrast", "injected"))
    assert 0.93 <= ((contrast["low"] <= 0.5) & (contrast["high"] >= 0.5)).mean() <= 0.97
    assert 0.93 <= ((injected["low"] <= 1.5) & (injected["high"] >= 1.5)).mean() <= 0.97


def test_the_overall_contrast_averages_cells_within_a_concept() -> None:
    effects = concept_effects(simulated(9, 4, effect=1), pairs=PAIRS)
    overall = overall_contrasts(effects).set_index("effect")
    by_concept = effects.groupby("concept")["contrast"].mean()
    assert overall.loc["contrast", "mean"] == pytest.approx(by_concept.mean())
    assert overall.loc["contrast", "low"] == pytest.approx(stats.ttest_1samp(by_concept, 0).confidence_interval().low)


def test_the_leaning_is_the_mean_over_concepts_of_what_the_injected_answers_are_overall_and_by_cell() -> None:
    trials = simulated(5, 2, effect=1, seed=3)
    injected = trials[(trials["arm"] == "injected") & (trials["question"] == "detect")]
    found = leanings(trials)
    assert found["n"].tolist() == [5, 5, 5]
    assert found["loop"].isna().tolist() == [True, False, False]
    expected = [injected["difference"].mean(), *injected.groupby("loop")["difference"].mean()]
    assert found["mean"].to_numpy() == pytest.approx(expected)
    half = stats.sem(injected.groupby("concept")["difference"].mean()) * stats.t.ppf(0.975, 4)
    assert found["high"][0] - found["mean"][0] == pytest.approx(half)


def test_a_strong_contrast_may_leave_no_ahead() -> None:
    trials = simulated(8, 2, effect=2, noise=0.1)
    trials["difference"] -= 30
    overall = contrasts_table(concept_effects(trials, pairs=PAIRS)).query("effect == 'contrast'")
    assert (overall["low"] > 1).all()
    assert (leanings(trials)["high"] < 0).all()


def test_the_leaning_of_a_concept_with_a_missing_answer_is_missing() -> None:
    trials = simulated(5, 2)
    lost = trials[(trials["arm"] == "injected") & (trials["question"] == "detect") & (trials["loop"] == 1)].index[0]
    trials.loc[lost, "difference"] = np.nan
    assert leanings(trials)["n"].tolist() == [4, 5, 4]
