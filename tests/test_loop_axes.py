"""Which loops an injection is in, how many are run, and how the dose is shared out."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from introspect.injection.plan.grid import Grid
from introspect.injection.plan.plan import plan
from introspect.protocols import PROTOCOLS, Variant
from introspect.records.trial import Site, Trial

SITES = tuple(Site(loop, layer) for loop in range(3) for layer in range(2))
DETECT, WHICH, COMPARE = (PROTOCOLS[name].questions[0] for name in ("detect", "which-loop", "compare"))
GRID = Grid(
    model="m", weights_hash="w", dtype="float32", protocol="detect", variants=(Variant(DETECT, "detect", "t"),),
    totals=(3,), layers={"prelude": 0, "core": 2, "coda": 0},
    concepts=("dust",), sites=SITES, strengths=(6.0,), vectors_hash="v", vector_loops=3,
    arms=("injected",),
)  # fmt: skip


def planned(**changes: Any) -> list[tuple[int, tuple[str, ...]]]:
    """Return the loops run and the sites of each trial with an injection."""
    trials = plan(replace(GRID, **changes))
    return [(t.n_loops, tuple(map(str, t.injection.sites))) for t in trials if t.injection is not None]


def test_each_injects_at_one_site_loops_at_all_loops_of_a_layer_and_together_at_all() -> None:
    assert planned() == [(3, (str(site),)) for site in SITES]
    assert planned(mode="loops") == [(3, ("0:0", "1:0", "2:0")), (3, ("0:1", "1:1", "2:1"))]
    assert planned(mode="together", sites=SITES[::-1]) == [(3, tuple(map(str, SITES)))]


@pytest.mark.parametrize("mode", ["each", "loops", "together"])
@pytest.mark.parametrize("sites", [SITES, SITES[:3], SITES[1:2]])
def test_a_split_dose_is_the_same_in_total_however_many_sites_there_are(mode: Any, sites: tuple[Site, ...]) -> None:
    for trial in plan(replace(GRID, mode=mode, sites=sites, split_dose=True)):
        assert trial.injection is not None
        assert trial.injection.strength * len(trial.injection.sites) == pytest.approx(6.0, rel=1e-15)
    whole = plan(replace(GRID, mode=mode, sites=sites))
    assert {trial.injection.strength for trial in whole if trial.injection} == {6.0}


@pytest.mark.parametrize("remaining", [0, 1, 4])
def test_behind_an_injection_at_loop_t_as_many_loops_remain_as_asked(remaining: int) -> None:
    """Loops count from 0, so t + 1 loops are run up to the injection and `remaining` more."""
    found = planned(remaining=remaining, sites=(Site(0, 1), Site(1, 0), Site(2, 1)))
    assert found == [(1 + remaining, ("0:1",)), (2 + remaining, ("1:0",)), (3 + remaining, ("2:1",))]


@pytest.mark.parametrize("mode", ["loops", "together"])
def test_of_several_injected_loops_the_last_one_counts(mode: Any) -> None:
    assert {loops for loops, _ in planned(remaining=2, mode=mode)} == {2 + 1 + 2}


def test_with_equal_remaining_loops_each_number_of_loops_has_its_own_control() -> None:
    trials = list(plan(replace(GRID, remaining=1, arms=("injected", "none"))))
    assert Counter(t.n_loops for t in trials if t.arm == "none") == {2: 1, 3: 1, 4: 1}
    assert {t.n_loops for t in trials if t.arm == "injected"} == {2, 3, 4}


def test_every_number_of_loops_is_run_at_the_sites_that_it_reaches() -> None:
    grid: dict[str, Any] = {"totals": tuple(range(1, 9)), "extract_loops": (0,)}
    sites = tuple(Site(loop, 0) for loop in range(8))
    found = planned(**grid, sites=sites)
    assert Counter(loops for loops, _ in found) == {total: total for total in range(1, 9)}
    assert all(int(site[0]) < loops for loops, (site,) in found)
    assert len(found) == len(set(found))


def test_an_injection_that_several_numbers_of_loops_reach_is_cut_to_the_loops_run() -> None:
    assert planned(totals=(1, 3), mode="loops", sites=SITES[::2]) == [(1, ("0:0",)), (3, ("0:0", "1:0", "2:0"))]


def test_extraction_loops_are_crossed_with_injection_loops() -> None:
    trials = list(plan(replace(GRID, extract_loops=(0, 2, None))))
    pairs = Counter((t.injection.sites[0].loop, t.injection.extract_loop) for t in trials if t.injection)
    assert pairs == {(loop, extract): 2 for loop in range(3) for extract in (0, 2, None)}


def expected(trials: list[Trial]) -> dict[tuple[str, int], str | None]:
    return {(str(t.injection.sites[0]), t.n_loops): t.expected for t in trials if t.injection}


def test_early_is_the_first_half_of_the_loops_run_and_late_the_second() -> None:
    grid = replace(GRID, variants=(Variant(WHICH, "which-loop", "t"),), sites=SITES[::2])
    assert expected(list(plan(grid))) == {("0:0", 3): "early", ("1:0", 3): "early", ("2:0", 3): "late"}
    two = replace(grid, totals=(2,), sites=SITES[:3:2])
    assert expected(list(plan(two))) == {("0:0", 2): "early", ("1:0", 2): "late"}
    across = replace(grid, mode="loops")
    assert {trial.expected for trial in plan(across)} == {None}
    assert {trial.expected for trial in plan(replace(grid, arms=("none",)))} == {None}


def test_compare_is_asked_in_both_orders_and_the_stronger_one_is_right() -> None:
    grid = replace(GRID, variants=(Variant(COMPARE, "compare", "t"),), sites=SITES[:1], arms=("injected", "none"))
    trials = list(plan(grid))
    weights = {t.injection.weights: t.expected for t in trials if t.injection}
    assert weights == {(1.0, 0.5): "first", (0.5, 1.0): "second"}
    assert len({t.variables for t in trials}) == 1
    assert [t.expected for t in trials if t.arm == "none"] == [None]
