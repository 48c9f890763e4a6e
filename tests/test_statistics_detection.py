"""d', criterion and AUC against scikit-learn, their definitions, and trials with a planted sensitivity."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from introspect.errors import InputError
from introspect.results.statistics.clusters import bootstrap_frame
from introspect.results.statistics.detection import (
    FEWEST_CONCEPTS,
    TOO_FEW_FOR_D_PRIME,
    criterion,
    detection_table,
    dprime,
)

SPREAD = 0.7
"""Standard deviation between concepts, of which signal and noise share half the variance."""


def simulated(cells: int, concepts: int = 25, repeats: int = 6, *, shift: float = 1.5, seed: int = 0) -> pd.DataFrame:
    """Injected and random trials in every cell, and a concept's own controls; yes above 0.8."""
    rng = np.random.default_rng(seed)
    arms = np.array(["injected", "random"])
    grid = pd.MultiIndex.from_product([range(cells), range(concepts), arms, range(repeats)]).to_frame(index=False)
    grid.columns = pd.Index(["loop", "concept", "arm", "repeat"])
    own = rng.normal(0, SPREAD, (cells, concepts))[grid["loop"], grid["concept"]]
    latent = own + rng.normal(0, 1, len(grid)) + shift * (grid["arm"] == "injected")
    return grid.assign(layer=1, strength=2.0, difference=latent, rules_detected=(latent > 0.8).astype("boolean"))


def table_of(trials: pd.DataFrame, **options: object) -> pd.DataFrame:
    return detection_table(trials, resamples=200, **options).set_index("measure")  # type: ignore[arg-type]


def test_the_auc_is_that_of_scikit_learn_with_ties() -> None:
    trials = simulated(1)
    trials["difference"] = trials["difference"].round(1)
    expected = roc_auc_score(trials["arm"] == "injected", trials["difference"])
    assert table_of(trials).loc["auc", "value"] == pytest.approx(expected)


def test_the_interval_of_the_auc_is_that_of_frames_resampled_by_concept() -> None:
    trials = simulated(1)
    slow = bootstrap_frame(
        trials, lambda each: float(roc_auc_score(each["arm"] == "injected", each["difference"])), resamples=200
    )
    found = table_of(trials).loc["auc"]
    assert (found["value"], found["low"], found["high"]) == pytest.approx((slow.value, slow.low, slow.high))


def test_dprime_and_criterion_are_those_of_the_corrected_rates() -> None:
    trials = simulated(1)
    rates = trials.groupby("arm")["rules_detected"].agg(lambda verdicts: (verdicts.sum() + 0.5) / (len(verdicts) + 1))
    hits, alarms = norm.ppf(rates["injected"]), norm.ppf(rates["random"])
    found = table_of(trials)["value"]
    assert found["dprime"] == pytest.approx(hits - alarms)
    assert found["criterion"] == pytest.approx(-(hits + alarms) / 2)


def test_all_hits_and_no_alarms_give_a_finite_dprime() -> None:
    counts = tuple(np.array([each]) for each in (20.0, 20.0, 0.0, 20.0))
    assert dprime(*counts) == pytest.approx(2 * norm.ppf(20.5 / 21))
    assert criterion(*counts) == pytest.approx(0)


def test_an_instrument_that_says_yes_to_everything_has_no_sensitivity() -> None:
    trials = simulated(1).assign(rules_detected=pd.array([True] * 300, dtype="boolean"))
    found = table_of(trials)["value"]
    assert found["dprime"] == pytest.approx(0)
    assert found["criterion"] < -2


def test_missing_verdicts_are_in_no_count() -> None:
    trials = simulated(1)
    lost = trials[:40].assign(rules_detected=pd.NA, difference=np.nan)
    more = pd.concat([trials, lost.astype(trials.dtypes)], ignore_index=True)
    pd.testing.assert_frame_equal(table_of(more), table_of(trials))


def test_controls_without_a_site_serve_every_cell_and_others_their_own() -> None:
    trials = simulated(2)
    shared = trials[(trials["loop"] == 0) & (trials["arm"] == "random")]
    shared = shared.assign(arm="none", loop=np.nan, layer=np.nan, strength=np.nan)
    found = table_of(pd.concat([trials, shared], ignore_index=True)).reset_index()
    value = found[found["measure"] == "auc"].set_index(["loop", "control"])["value"]
    assert value[0, "none"] == value[0, "random"]
    assert value[1, "none"] != value[1, "random"]
    assert len(value) == 4


def test_a_grader_that_did_not_grade_is_refused() -> None:
    with pytest.raises(InputError, match="unknown verdict 'judge_detected'; known: rules_detected"):
        detection_table(simulated(1), verdict="judge_detected")


@pytest.mark.slow
def test_the_intervals_cover_the_planted_sensitivity() -> None:
    table = detection_table(simulated(1000), resamples=200)
    total = np.sqrt(1 + SPREAD**2)
    hits, alarms = norm.sf((0.8 - 1.5) / total), norm.sf(0.8 / total)
    truth = {
        "dprime": norm.ppf(hits) - norm.ppf(alarms),
        "criterion": -(norm.ppf(hits) + norm.ppf(alarms)) / 2,
        "auc": norm.cdf(1.5 / np.sqrt(2 * total**2)),
    }
    table["covered"] = (table["low"] <= table["measure"].map(truth)) & (table["measure"].map(truth) <= table["high"])
    assert table.groupby("measure")["covered"].mean().between(0.93, 0.97).all()


def test_below_twelve_concepts_dprime_is_not_given_and_the_note_says_so() -> None:
    rng = np.random.default_rng(0)
    for concepts in (FEWEST_CONCEPTS - 1, FEWEST_CONCEPTS):
        arms = np.repeat(["injected", "none"], concepts)
        rows = pd.DataFrame({"concept": np.tile(np.arange(concepts), 2), "arm": arms})
        rows = rows.assign(loop=0, layer=0, strength=1.0, difference=rng.normal(size=len(rows)))
        rows["rules_detected"] = pd.array(rng.random(len(rows)) < 0.5, dtype="boolean")
        found = detection_table(rows, controls=["none"], resamples=50).set_index("measure")
        few = concepts < FEWEST_CONCEPTS
        assert found["value"].isna().to_dict() == {"dprime": few, "criterion": few, "auc": False}
        assert (found.loc["dprime", "note"] == TOO_FEW_FOR_D_PRIME) is few
