"""The studentised bootstrap: it is what a plain loop over its draws gives, and holds its level on skewed concepts."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from introspect.results.statistics.flips import sign_flips
from introspect.results.statistics.studentised import _weights, studentised


def skewed(rng: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    """Draw values of mean 0, of which one in ten is far above the others."""
    return np.where(rng.random(shape) < 0.1, 9.0, 0.0) - 0.9 + rng.normal(0, 1, shape)


def t_of(values: NDArray[np.float64], mean: float) -> float:
    known = values[np.isfinite(values)]
    return abs(stats.ttest_1samp(known, mean).statistic) if len(known) > 1 and np.ptp(known) > 0 else np.inf


def test_it_is_a_plain_loop_over_drawn_concepts() -> None:
    values = np.random.default_rng(4).normal(0.5, 1, (7, 3))
    values[2, 1] = np.nan
    means = np.nanmean(values, axis=0)
    observed = [t_of(column, 0) for column in values.T]
    alone, largest = np.ones(3), np.ones(3)
    for times in next(iter(_weights(7, 300, 5))).astype(int):
        drawn = np.repeat(values, times, axis=0)
        found = [t_of(column, mean) for column, mean in zip(drawn.T, means, strict=True)]
        alone += [one >= here for one, here in zip(found, observed, strict=True)]
        largest += [max(found) >= here for here in observed]
    tests = studentised(values, draws=300, seed=5)
    assert tests.p == pytest.approx(alone / 301)
    assert tests.p_map == pytest.approx(largest / 301)


def test_a_cell_without_a_spread_or_with_one_concept_is_not_tested_and_harms_no_other() -> None:
    values = np.random.default_rng(1).normal(1, 1, (8, 4))
    values[:, 1], values[:, 2], values[1:, 3] = 0.3, 0.0, np.nan
    found = studentised(values)
    assert np.isnan(found.p[1:]).all()
    assert np.isnan(found.p_map[1:]).all()
    assert found.p[0] == found.p_map[0] == studentised(values[:, :1]).p[0]
    assert np.isnan(studentised(np.empty((0, 2))).p).all()


@pytest.mark.slow
def test_skewed_concepts_are_called_an_effect_on_few_maps_where_sign_flips_do_so_on_most() -> None:
    rng = np.random.default_rng(0)
    maps = [skewed(rng, 24, 12) for _ in range(200)]
    ours = np.mean([studentised(each, draws=399, seed=seed).p_map.min() <= 0.05 for seed, each in enumerate(maps)])
    flips = np.mean([sign_flips(each, flips=399, seed=seed).p_map.min() <= 0.05 for seed, each in enumerate(maps)])
    assert ours <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert flips > 0.4


def test_a_strong_cell_survives_the_correction() -> None:
    rng = np.random.default_rng(1)
    maps = [rng.normal(0, 1, (24, 24)) + 1.5 * (np.arange(24) == 7) for _ in range(50)]
    assert np.mean([studentised(each, draws=399).p_map[7] <= 0.05 for each in maps]) > 0.9
