"""The best cell on pure noise and on one planted cell."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from introspect.errors import InputError
from introspect.results.statistics.clusters import rate
from introspect.results.statistics.split_selection import best_cell


def simulated(concepts: int, cells: int, seed: int, planted: float = 0) -> pd.DataFrame:
    """One value a concept and loop, 0 on average; `planted` is added in loop 2."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (concepts, cells)) + planted * (np.arange(cells) == 2)
    concept, loop = np.indices((concepts, cells)).reshape(2, -1)
    return pd.DataFrame({"concept": concept, "loop": loop, "layer": 1, "strength": 2.0, "effect": values.ravel()})


@pytest.mark.slow
def test_of_noise_the_half_that_chose_is_an_optimist_and_the_other_covers_the_truth() -> None:
    data = [simulated(24, 20, seed) for seed in range(600)]
    # seeds of their own, so that draws do not follow the data; few resamples would make the intervals too narrow
    found = [
        best_cell(each, "effect", seed=1000 + number, estimate=partial(rate, resamples=1000, seed=1000 + number))
        for number, each in enumerate(data)
    ]
    assert np.mean([each.chosen.value for each in found]) > 0.4
    assert np.mean([each.held_out.value for each in found]) == pytest.approx(0, abs=0.03)
    # 600 choices: 95% is known to 2% at two standard errors, and 12 concepts give a little less
    assert 0.925 <= np.mean([each.held_out.low <= 0 <= each.held_out.high for each in found]) <= 0.975
    assert np.mean([each.chosen.low <= 0 <= each.chosen.high for each in found]) < 0.7


def test_a_planted_cell_is_chosen_and_both_numbers_come_with_their_n() -> None:
    found = best_cell(simulated(25, 6, 0, planted=3), "effect")
    assert found.cell == {"loop": 2, "layer": 1, "strength": 2.0}
    assert (found.cells, found.n_chosen, found.n_held_out) == (6, 13, 12)
    assert (found.chosen.concepts, found.held_out.concepts) == (13, 12)
    assert found.held_out.low < 3 < found.held_out.high


def test_the_two_values_are_means_over_different_concepts() -> None:
    trials = simulated(10, 1, 0)
    found = best_cell(trials, "effect")
    assert (found.chosen.value + found.held_out.value) / 2 == pytest.approx(trials["effect"].mean())


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    trials = simulated(16, 4, 1)
    shuffled = trials.sample(frac=1, random_state=0)
    assert best_cell(shuffled, "effect").held_out.value == pytest.approx(best_cell(trials, "effect").held_out.value)
    assert best_cell(trials, "effect", seed=1).held_out.value != best_cell(trials, "effect").held_out.value


def test_verdicts_that_are_missing_are_left_out() -> None:
    trials = simulated(12, 3, 0, planted=4)
    trials["yes"] = (trials["effect"] > 1).astype("boolean")
    lost = trials.assign(yes=pd.NA).astype({"yes": "boolean"})
    found = best_cell(pd.concat([trials, lost], ignore_index=True), "yes")
    assert found.cell["loop"] == 2
    assert (found.n_chosen, found.n_held_out) == (6, 6)


def test_too_few_concepts_to_split_are_refused() -> None:
    with pytest.raises(InputError, match=r"9 concepts are too few .* at least 10 are needed"):
        best_cell(simulated(9, 3, 0), "effect")
