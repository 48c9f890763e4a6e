"""In print size nothing in a figure is cut off, covered, hidden, too small or unnamed, whatever the run holds."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from matplotlib.figure import Figure
from print_size import faults
from test_figures_inferred import TABLES

from introspect.records.trial import ARMS
from introspect.results.figures.all_figures import draw_all
from introspect.results.figures.layout import PAGE_HEIGHT
from introspect.results.statistics import wilson
from introspect.results.tables.all_tables import STRENGTHS

CONTROLS = [arm for arm in ARMS if arm not in ("injected", "none", "text")]


def run_tables(
    loops: int, layers: int, strengths: Sequence[float], controls: Sequence[str], totals: Sequence[int]
) -> dict[str, pd.DataFrame]:
    """Make the tables of a run: of each arm the rates at every site, by loop, and what is read out after each loop."""
    source, arms = np.random.default_rng(0), ("injected", *controls)
    sites = [(arm, *rest) for arm in arms for rest in product(range(loops), range(layers), strengths, totals)]
    rates = pd.DataFrame(sites, columns=["arm", "loop", "layer", "strength", "n_loops"])
    siteless = pd.DataFrame([{"arm": arm, "n_loops": total} for arm in ("none", "text") for total in totals])
    rates = pd.concat([rates, siteless], ignore_index=True).astype({"loop": "Int64", "layer": "Int64"})
    rates = pd.concat([rates.assign(measure=name) for name in ("detected", "identified")], ignore_index=True)
    rates = rates.assign(
        n=20, k=source.integers(0, 21, len(rates)), unknown=3, concepts=10, independent=10.0, note=None
    )
    rates["rate"] = rates["k"] / rates["n"]
    rates["low"], rates["high"] = wilson(rates["rate"] * 10, rates["independent"])
    read = rates[(rates["measure"] == "detected") & (rates["layer"].isna() | (rates["layer"] == 0))]
    read = pd.concat([read.assign(readout_loop=loop, mean=source.normal(0, 4)) for loop in range(loops)])
    read = read[["arm", "loop", "strength", "readout_loop", "n_loops", "mean", "n"]]
    by_loop = rates[rates["layer"].isna() | (rates["layer"] == 0)].drop(columns="layer")
    tables = {"rates": rates, "loops": by_loop, "readouts": read}
    for table in tables.values():
        if len(totals) == 1:
            del table["n_loops"]
        table.attrs[STRENGTHS] = ("vector",)
    return tables


def check(made: dict[str, Figure]) -> None:
    for name, figure in made.items():
        found = faults(figure)
        assert not found, (name, figure.get_size_inches(), found)
        assert figure.get_figheight() <= PAGE_HEIGHT, name


@pytest.mark.parametrize("width", ["one", "two"])
@pytest.mark.parametrize("name", TABLES)
def test_what_is_inferred_can_be_read_in_print(name: str, width: str) -> None:
    where, rows = TABLES[name]
    check({name: draw_all({where: rows}, width).made[name]})


RUNS = {
    "loops": some.integers(1, 6),
    "layers": some.sampled_from([1, 2, 6, 24]),
    "strengths": some.sampled_from([(1.0,), (1.0, 2.0), (0.5, 1.0, 2.0), (0.5, 1.0, 4.0, 16.0)]),
    "controls": some.sets(some.sampled_from(CONTROLS), max_size=5).map(sorted),
    "totals": some.sampled_from([(4,), (4,), (2, 4, 8)]),
}


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("width", ["one", "two"])
def test_a_run_with_all_its_arms_can_be_read_in_print(width: str) -> None:
    tables = run_tables(4, 3, (1.0, 2.0), CONTROLS, (4,))
    check(draw_all(tables, width).made)


def test_of_more_doses_than_a_page_holds_the_strongest_are_drawn_and_it_is_said() -> None:
    rates = run_tables(6, 24, (0.5, 1.0, 4.0, 16.0), ["random"], (4,))["rates"]
    figure = draw_all({"rates": rates}, "one").made["detection_map"]
    check({"detection_map": figure})
    assert [ax.get_title() for ax in figure.axes if ax.get_title()] == ["strength 16"]
    assert any("the strongest doses, all others are in the table" in text.get_text() for text in figure.texts)


@pytest.mark.slow
@pytest.mark.parametrize("width", ["one", "two"])
def test_any_run_can_be_read_in_print(width: str) -> None:
    @settings(deadline=None, derandomize=True, database=None, max_examples=25)
    @given(**RUNS)
    def theorem(**run: Any) -> None:  # Any: what RUNS draws
        check(draw_all(run_tables(**run), width).made)

    theorem()
