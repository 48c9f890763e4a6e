"""Control of the state: cosines that were put into a run come out as differences between instructions."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made import new_store, response, trial
from scipy import stats

from introspect.protocols.material import instructions
from introspect.records.response import Measure
from introspect.results.store.store import Store
from introspect.results.tables.rates.control_cosines import ALL, control_table, cosines

WORDS = ("dust", "snow", "rain", "salt")
SITES = [(1, 0), (0, 1), (0, 0)]
PAIRS = list(dict.fromkeys(each.pair for each in instructions()))


def cosine(pair: str, word: str, loop: int, layer: int, polarity: str) -> float:
    """Return a cosine that differs with everything; the instruction to think adds what pair, word and site say."""
    own = 0.01 * PAIRS.index(pair) + 0.002 * WORDS.index(word) ** 2 + 0.03 * loop + 0.05 * layer
    return 0.2 * loop + (own if polarity == "positive" else 0.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    with new_store(tmp_path_factory.mktemp("run")) as made:
        for each in instructions():
            for word in WORDS:
                if (each.pair, each.polarity, word) == (PAIRS[0], "negative", "salt"):
                    continue  # one side that was never run
                one = trial(
                    arm="none", protocol="control", question=f"control-{each.id}", template=each.id, concept=word
                )
                measures = [
                    Measure(name, *site, value)
                    for site in SITES
                    for name, value in (
                        ("cosine", cosine(each.pair, word, *site, each.polarity)),
                        ("cosine_others", 0.1),
                        ("cosine_sd", 0.5),
                    )
                ]
                made.add([(one, replace(response(one), measures=tuple(measures)))])
        yield made


def apart(pair: str, word: str, site: tuple[int, int]) -> float:
    return cosine(pair, word, *site, "positive") - cosine(pair, word, *site, "negative")


def words(pair: str) -> tuple[str, ...]:
    return WORDS[:3] if pair == PAIRS[0] else WORDS


def test_each_pair_and_site_has_its_mean_difference_and_t_interval_over_concepts(store: Store) -> None:
    table = control_table(store).set_index(["pair", "loop", "layer"])
    assert len(table) == (len(PAIRS) + 1) * len(SITES)
    for pair in PAIRS:
        for site in SITES:
            row, values = table.loc[(pair, *site)], [apart(pair, word, site) for word in words(pair)]
            interval = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
            assert row["n"] == len(values)
            assert row["mean"] == pytest.approx(np.mean(values))
            assert (row["low"], row["high"]) == pytest.approx(interval)
            think = np.mean([cosine(pair, word, *site, "positive") for word in words(pair)])
            assert (row["think"], row["others"], row["z"]) == pytest.approx((think, 0.1, (think - 0.1) / 0.5))


def test_all_pairs_together_are_averaged_within_a_concept_first(store: Store) -> None:
    table = control_table(store).set_index(["pair", "loop", "layer"])
    for site in SITES:
        means = [np.mean([apart(pair, word, site) for pair in PAIRS if word in words(pair)]) for word in WORDS]
        assert table.loc[(ALL, *site), "mean"] == pytest.approx(np.mean(means))


def test_a_pair_of_which_one_side_is_missing_is_left_out(store: Store) -> None:
    found = cosines(store)
    assert set(found.loc[found["concept"] == "salt", "pair"]) == set(PAIRS[1:])
    assert not found.isna().to_numpy().any()


def test_p_on_the_map_is_never_below_that_of_the_cell(store: Store) -> None:
    table: pd.DataFrame = control_table(store)
    for one, whole in (("p", "p_map"), ("p_student", "p_student_map")):
        assert (table[whole] >= table[one]).all()
        assert table[one].between(0, 1).all()
