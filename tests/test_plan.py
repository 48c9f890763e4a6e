"""The plan: every trial once, controls paired and shared, counts without trials, bad grids refused."""

from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import pytest

from introspect.errors import InputError
from introspect.injection.grid import Grid
from introspect.injection.plan import Cell, count, plan
from introspect.records import Sampling, Site, Trial

SITES = tuple(Site(loop, layer) for loop in range(3) for layer in range(2))
GRID = Grid(
    model="m", weights_hash="w", dtype="float32", protocol="report", template="detect", template_hash="t", n_loops=3,
    n_layers=2, concepts=("dust", "salt"), sites=SITES, strengths=(0.0, 1.0, 2.0), vectors_hash="v", vector_loops=3,
    repeats=2,
)  # fmt: skip


def cell_of(trial: Trial) -> Cell:
    if trial.injection is None:
        return Cell(trial.arm)
    return Cell(trial.arm, trial.injection.sites, trial.injection.extract_loop, trial.injection.strength)


@pytest.mark.parametrize("mode", ["each", "together"])
@pytest.mark.parametrize("extract_loops", [(None,), (0, 1, 2), (1, 1, None)])
@pytest.mark.parametrize("arms", [("injected", "none", "random"), ("injected",), ("none",)])
def test_the_counts_are_those_of_the_real_plan(mode: Any, extract_loops: Any, arms: Any) -> None:
    grid = replace(GRID, mode=mode, extract_loops=extract_loops, arms=arms, strengths=(1, 1.0, 0.0, -0.0, 2))
    trials = list(plan(grid))
    counts = count(grid)
    assert counts.cells == Counter(cell_of(trial) for trial in trials)
    assert counts.arms == Counter(trial.arm for trial in trials)
    assert counts.total == len(trials) == len({trial.id for trial in trials})


def test_each_cell_has_every_concept_and_repeat() -> None:
    cells = Counter((cell_of(t), t.concept, t.repeat) for t in plan(GRID))
    assert set(cells.values()) == {1}
    assert len(cells) == (1 + 6 * 3 * 2) * 2 * 2


def test_an_injected_trial_and_its_controls_have_one_seed_and_others_have_not() -> None:
    seeds: dict[tuple[str, int], set[int]] = {}
    for trial in plan(GRID):
        seeds.setdefault((trial.concept, trial.repeat), set()).add(trial.seed)
    assert all(len(of) == 1 for of in seeds.values())
    assert len(set.union(*seeds.values())) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in set.union(*seeds.values()))
    assert not set.union(*seeds.values()) & {trial.seed for trial in plan(replace(GRID, seed=1))}


def test_the_arm_without_injection_is_planned_once_however_many_cells() -> None:
    assert count(GRID).arms["none"] == count(replace(GRID, sites=SITES[:1], strengths=(1.0,))).arms["none"] == 4
    assert all(trial.injection is None for trial in plan(replace(GRID, arms=("none",), sites=(), strengths=())))


def test_the_random_arm_has_the_cells_of_the_injected_one() -> None:
    cells = count(GRID).cells
    assert {cell._replace(arm="injected") for cell in cells if cell.arm == "random"} == {
        cell for cell in cells if cell.arm == "injected"
    }


def test_together_injects_at_all_sites_in_running_order() -> None:
    grid = replace(GRID, mode="together", sites=SITES[::-1], arms=("injected",))
    assert {trial.injection.sites for trial in plan(grid) if trial.injection} == {SITES}


def test_trials_of_one_site_follow_one_another() -> None:
    order = [trial.injection.sites for trial in plan(GRID) if trial.injection]
    assert sum(a != b for a, b in pairwise(order)) == len(SITES) - 1


def test_the_plan_is_a_stream() -> None:
    endless = replace(GRID, repeats=10**12)
    assert len(list(islice(plan(endless), 5))) == 5
    assert count(endless).total == 37 * 2 * 10**12


def test_as_many_trials_are_made_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Trial] = []

    def noted(**fields: Any) -> Trial:
        made.append(Trial(**fields))
        return made[-1]

    monkeypatch.setattr("introspect.injection.plan.Trial", noted)
    million = replace(GRID, repeats=14_000)
    assert count(million).total > 10**6
    assert len(list(islice(plan(million), 3))) == len(made) == 3
    assert {one.arm for one in islice(plan(million), 28_000, 28_002)} == {"injected"}
    assert len(made) == 3 + 28_002


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"concepts": ()}, "concepts: the list is empty"),
        ({"sites": ()}, "sites: the list is empty"),
        ({"strengths": ()}, "strengths: the list is empty"),
        ({"extract_loops": ()}, "extract_loops: the list is empty"),
        ({"arms": ("injected", "wrong")}, "unknown arm 'wrong'; known: injected, none, random"),
        ({"mode": "all"}, "unknown injection mode 'all'"),
        ({"unit": "norm"}, "unknown strength unit 'norm'"),
        ({"sites": (Site(3, 0),)}, r"site 3:0 .* loops are 0 to 2, layers 0 to 1"),
        ({"sites": (Site(0, 2),)}, "site 0:2"),
        ({"sites": (Site(-1, 0),)}, "site -1:0"),
        ({"n_loops": 5, "sites": (Site(4, 0),)}, "site 4:0: there are vectors for loops 0 to 2 only"),
        ({"extract_loops": (3,)}, "extraction loop 3"),
        ({"strengths": (1.0, float("nan"))}, "strength nan is not a finite number"),
        ({"strengths": (float("inf"),)}, "strength inf"),
        ({"repeats": 0}, "repeats 0: must be at least 1"),
        ({"sampling": Sampling(max_new_tokens=0)}, "max_new_tokens 0"),
        ({"sampling": Sampling(temperature=-1)}, "temperature -1"),
        ({"sampling": Sampling(temperature=float("nan"))}, "temperature nan"),
        ({"sampling": Sampling(top_p=0)}, "top_p 0"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        replace(GRID, **changes)


def test_a_grid_without_injections_needs_no_sites() -> None:
    assert count(replace(GRID, arms=("none",), sites=(), strengths=())).total == 4
