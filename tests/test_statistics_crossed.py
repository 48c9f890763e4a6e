"""Intervals over wordings and concepts together: right by hand, and covering in simulated runs."""

import numpy as np
import pytest

from introspect.results.statistics.crossed import crossed_mean


def drawn(rng: np.random.Generator, wordings: int, concepts: int, of_wording: float, of_concept: float) -> np.ndarray:
    """Draw values whose mean is 0 from crossed random effects."""
    rows, columns = rng.normal(size=(wordings, 1)) * of_wording, rng.normal(size=(1, concepts)) * of_concept
    return rows + columns + rng.normal(size=(wordings, concepts)) * 0.5


def covered(wordings: int, concepts: int, of_wording: float, of_concept: float, runs: int = 1500) -> float:
    rng = np.random.default_rng(0)
    found = [crossed_mean(drawn(rng, wordings, concepts, of_wording, of_concept)) for _ in range(runs)]
    return float(np.mean([each.low <= 0 <= each.high for each in found]))


@pytest.mark.slow_after(6)
@pytest.mark.parametrize("of_wording", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("wordings", "concepts"), [(3, 12), (5, 24)])
@pytest.mark.parametrize("of_concept", [0.0, 1.0])
def test_the_interval_covers_the_mean_of_all_wordings_and_concepts(
    wordings: int, concepts: int, of_wording: float, of_concept: float
) -> None:
    assert covered(wordings, concepts, of_wording, of_concept) >= 0.93


def test_an_interval_over_concepts_alone_does_not_where_wordings_differ() -> None:
    rng, inside = np.random.default_rng(0), []
    for _ in range(500):
        means = drawn(rng, 3, 24, 1.0, 1.0).mean(axis=0)
        inside.append(abs(means.mean()) < 2.07 * means.std(ddof=1) / np.sqrt(24))
    assert np.mean(inside) < 0.7


def test_the_variance_is_that_of_the_mean_squares() -> None:
    values = drawn(np.random.default_rng(3), 4, 30, 2.0, 1.5)
    found = crossed_mean(values)
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns + values.mean()
    squares = 30 * rows.var(ddof=1), 4 * columns.var(ddof=1), (rest**2).sum() / (3 * 29)
    variance = (squares[0] + squares[1] - squares[2]) / 120
    freedom = variance**2 / ((squares[0] / 120) ** 2 / 3 + (squares[1] / 120) ** 2 / 29 + (squares[2] / 120) ** 2 / 87)
    assert found.mean == pytest.approx(values.mean())
    assert found.freedom == pytest.approx(freedom)
    assert found.sd_wordings == pytest.approx(np.sqrt((squares[0] - squares[2]) / 30))
    assert found.sd_concepts == pytest.approx(np.sqrt((squares[1] - squares[2]) / 4))
    assert (found.wordings, found.concepts) == (4, 30)


def test_a_concept_that_lacks_a_wording_is_left_out_and_two_wordings_have_no_interval() -> None:
    values = drawn(np.random.default_rng(1), 3, 10, 1.0, 1.0)
    holed = values.copy()
    holed[1, 4] = np.nan
    assert crossed_mean(holed) == crossed_mean(np.delete(values, 4, axis=1))
    two = crossed_mean(values[:2])
    assert two.mean == pytest.approx(values[:2].mean())
    assert np.isnan([two.low, two.high, two.freedom]).all()
    assert np.isnan(crossed_mean(np.full((3, 4), np.nan)).mean)
