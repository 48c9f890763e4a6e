"""The plan: every trial once, controls paired and shared, counts without trials, bad grids refused."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby, islice, pairwise, product
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from introspect.errors import InputError
from introspect.injection.plan.cells import Cell
from introspect.injection.plan.grid import MODES, Grid
from introspect.injection.plan.plan import Tally, plan
from introspect.protocols import PROTOCOLS, Asked, Occasion, Variant
from introspect.records.trial import ARMS, NOT_INJECTED, PRELUDE, Arm, Injection, Sampling, Site, Trial

VARIANTS = {
    question.name: Variant(question, template, template)
    for protocol in reversed(PROTOCOLS.values())
    for question in protocol.questions
    for template in list(question.templates.values())[:1]
}
"""Each question in its neutral framing; one that several protocols ask, in all of its arms, as detect does."""
DETECT = VARIANTS["detect"]
SITES = tuple(Site(loop, layer) for loop in range(3) for layer in range(2))
GRID = Grid(
    model="m", weights_hash="w", dtype="float32", protocol="detect", variants=(DETECT,), totals=(3,),
    layers={"prelude": 0, "core": 2, "coda": 0},
   
    concepts=("dust", "salt", "snow"), sites=SITES, strengths=(0.0, 1.0, 2.0), vectors_hash="v", vector_loops=3,
    repeats=2,
)  # fmt: skip
WORDS = tuple(f"word{number}" for number in range(10))  # as many as the protocols' distractors need


def partnered(pairs: Iterable[tuple[str, str]]) -> dict[Arm, dict[str, str]]:
    """Make the same partners for both arms that have some."""
    known = dict(pairs)
    return {"wrong": known, "opposite": known}


def cell_of(trial: Trial) -> Cell:
    variant = VARIANTS[trial.question]
    if trial.injection is None:
        return Cell(variant, trial.arm, trial.n_loops)
    injection = trial.injection
    place = (injection.sites, injection.extract_loop, injection.strength, injection.weights)
    return Cell(variant, trial.arm, trial.n_loops, *place)


GRIDS = some.builds(
    replace,
    some.just(replace(GRID, concepts=WORDS, partners=partnered(zip(WORDS, WORDS[::-1], strict=True)))),
    variants=some.lists(some.sampled_from(list(VARIANTS.values())), min_size=1, max_size=3, unique=True).map(tuple),
    totals=some.lists(some.integers(1, 3), max_size=2).map(lambda more: (3, *more)),
    arms=some.lists(some.sampled_from(ARMS), min_size=1, max_size=3).map(tuple),
    mode=some.sampled_from(MODES),
    sites=some.sets(some.sampled_from(SITES), min_size=1, max_size=3).map(tuple),
    strengths=some.lists(some.sampled_from([0.0, -0.0, 1, 1.0, 2.5]), min_size=1, max_size=3).map(tuple),
    extract_loops=some.sampled_from([(None,), (0, 2), (1, 1, None)]),
    numbers=some.sampled_from([(1,), (1, 7)]),
    repeats=some.integers(1, 3),
    split_dose=some.booleans(),
)
WITH_REMAINING = some.builds(replace, GRIDS, remaining=some.integers(0, 2))

Said = tuple[object, ...]
"""What the grid decides of a trial."""
One = tuple[str, int, Asked]
"""Concept, repeat, and how they are asked."""


def said(trial: Trial) -> Said:
    place = trial.template, trial.arm, trial.n_loops, trial.injection
    return (*place, trial.concept, trial.repeat, trial.variables, trial.options)


def walked(grid: Grid, window: int) -> Iterator[Said]:
    """Walk a plan the plain way, loops in loops, with the prompts of so many occasions in order at once."""
    for variant in grid.variants:
        members = [
            (concept, repeat, asked)
            for concept, repeat in product(grid.concepts, range(grid.repeats))
            for asked in variant.question.ask(
                Occasion(concept, grid.concepts, repeat, grid.numbers[repeat % len(grid.numbers)])
            )
        ]
        if not variant.question.varies and len(grid.numbers) == 1:
            yield from crossed(grid, variant, members)
            continue
        for first in range(0, len(members), window):
            for _, alike in groupby(sorted(members[first : first + window], key=prompt), key=prompt):
                yield from crossed(grid, variant, list(alike))


def prompt(member: One) -> list[tuple[str, str]]:
    return sorted(member[2].variables.items())


def crossed(grid: Grid, variant: Variant, members: list[One]) -> Iterator[Said]:
    arms = [arm for arm in grid.arms if arm in variant.question.arms]
    for n_loops, arm in product(grid.loops_run(), arms):
        if arm in NOT_INJECTED:
            for concept, repeat, asked in members:
                written = {"written": concept} if arm == "text" else {}
                variables = tuple(sorted({**asked.variables, **written}.items()))
                yield variant.template, arm, n_loops, None, concept, repeat, variables, asked.options
    doses = product(grid.injections(), grid.extract_loops, grid.strengths, variant.question.weights)
    for ((n_loops, sites), extract, strength, weights), arm in product(doses, arms):
        if arm not in NOT_INJECTED:
            each = strength / len(sites) if grid.split_dose else strength
            injection = Injection(sites, each, grid.vectors_hash, extract, grid.unit, weights)
            for concept, repeat, asked in members:
                yield variant.template, arm, n_loops, injection, concept, repeat, prompted(asked), asked.options


def prompted(asked: Asked) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(asked.variables.items()))


@settings(max_examples=100, deadline=None)
@given(GRIDS | WITH_REMAINING, some.sampled_from([3, 7, 4096]), some.data())
def test_the_trial_at_any_place_is_that_of_a_plain_walk(grid: Grid, window: int, data: some.DataObject) -> None:
    with patch("introspect.injection.plan.sections.WINDOW", window):
        trials, walk = plan(grid), list(walked(grid, window))
        assert [said(trial) for trial in trials] == walk
        places = data.draw(some.lists(some.integers(0, max(0, len(walk) - 1)), max_size=9)) if walk else []
        assert [said(trials[place]) for place in places] == [walk[place] for place in places]
        start, stop = sorted(data.draw(some.tuples(*[some.integers(0, len(walk))] * 2)))
        assert [said(trial) for trial in trials.between(start, stop)] == walk[start:stop]


def test_there_is_nothing_behind_the_last_trial() -> None:
    assert plan(GRID)[len(plan(GRID)) - 1].arm == "random"
    with pytest.raises(IndexError, match=r"trial 222 of 222"):
        plan(GRID)[222]


@pytest.mark.slow_after(6)
@pytest.mark.parametrize("name", VARIANTS)
def test_a_grid_is_counted_and_its_trials_are_reached_without_walking_it(name: str) -> None:
    """A walk through so many would take years."""
    large = replace(
        GRID, variants=(VARIANTS[name],), concepts=WORDS, arms=ARMS, repeats=10**11,
        partners=partnered(zip(WORDS, WORDS[::-1], strict=True)),
    )  # fmt: skip
    trials = plan(large)
    assert len(trials) == trials.counts.total >= 10**12
    assert len({trials[place].id for place in (7, len(trials) // 2, len(trials) - 7)}) == 3


@settings(max_examples=60, deadline=None)
@given(GRIDS | WITH_REMAINING)
def test_the_counts_are_those_of_the_real_plan(grid: Grid) -> None:
    trials, counts = list(plan(grid)), plan(grid).counts
    cells = Counter(map(cell_of, trials))
    alike = Counter((cell.variant, cell.arm, each) for cell, each in cells.items())
    assert counts.tallies == {(variant, arm): Tally(n, each) for (variant, arm, each), n in alike.items()}
    assert counts.arms == Counter(trial.arm for trial in trials)
    assert counts.total == len(plan(grid)) == len(trials) == len({trial.id for trial in trials})


def test_each_cell_has_every_concept_and_repeat() -> None:
    cells = Counter((cell_of(t), t.concept, t.repeat) for t in plan(GRID))
    assert set(cells.values()) == {1}
    assert len(cells) == (1 + 6 * 3 * 2) * 3 * 2


def test_an_injected_trial_and_its_controls_have_one_seed_and_others_have_not() -> None:
    grid = replace(
        GRID,
        variants=(DETECT, VARIANTS["unrelated"]),
        arms=ARMS,
        partners=partnered((word, "x") for word in GRID.concepts),
    )
    seeds: dict[tuple[str, int], set[int]] = {}
    for trial in plan(grid):
        seeds.setdefault((trial.concept, trial.repeat), set()).add(trial.seed)
    assert all(len(of) == 1 for of in seeds.values())
    assert len(set.union(*seeds.values())) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in set.union(*seeds.values()))
    assert not set.union(*seeds.values()) & {trial.seed for trial in plan(replace(GRID, seed=1))}


@pytest.mark.parametrize("arm", NOT_INJECTED)
def test_a_control_without_injection_is_planned_once_and_shared_by_all_cells(arm: Any) -> None:
    grid = replace(GRID, arms=("injected", arm))
    assert plan(grid).counts.arms == {"injected": 6 * 3 * 6, arm: 6}
    assert plan(replace(grid, sites=SITES[:1], strengths=(1.0,))).counts.arms == {"injected": 6, arm: 6}
    assert plan(replace(grid, extract_loops=(0, 1, 2))).counts.arms == {"injected": 3 * 6 * 3 * 6, arm: 6}
    alone = replace(GRID, arms=(arm,), sites=(), strengths=())
    assert {trial.id for trial in plan(alone)} == {trial.id for trial in plan(grid) if trial.arm == arm}


def test_there_is_one_such_control_for_each_number_of_loops_and_each_wording() -> None:
    grid = replace(GRID, totals=(1, 2, 3), arms=("none",), repeats=1)
    assert Counter(trial.n_loops for trial in plan(grid)) == {1: 3, 2: 3, 3: 3}
    two = replace(grid, variants=(DETECT, replace(DETECT, template="other", template_hash="other")))
    assert len(plan(two)) == 2 * len(plan(grid))


def test_the_arms_with_an_injection_have_the_cells_of_the_injected_one() -> None:
    active = tuple(arm for arm in ARMS if arm not in NOT_INJECTED)
    cells = {
        cell_of(trial)
        for trial in plan(replace(GRID, arms=active, partners=partnered((word, "x") for word in GRID.concepts)))
    }
    for arm in active:
        of_arm = {cell._replace(arm="injected") for cell in cells if cell.arm == arm}
        assert of_arm == {cell for cell in cells if cell.arm == "injected"}


def test_the_wrong_arm_names_the_concept_and_injects_its_partner() -> None:
    partners = {"dust": "salt", "salt": "snow", "snow": "dust"}
    for trial in plan(replace(GRID, arms=("injected", "none", "wrong"), partners={"wrong": partners})):
        assert trial.partner == (partners[trial.concept] if trial.arm == "wrong" else None)


@pytest.mark.parametrize("question", ["choose", "thought"])
def test_the_partners_are_among_the_words_on_offer_and_all_arms_of_a_concept_are_offered_the_same(
    question: str,
) -> None:
    partners: dict[Arm, dict[str, str]] = {
        "wrong": dict(zip(WORDS, (*WORDS[4:], *WORDS[:4]), strict=True)),
        "opposite": dict(zip(WORDS, WORDS[::-1], strict=True)),
    }
    arms = ("injected", "none", "wrong", "opposite")
    grid = replace(GRID, concepts=WORDS, variants=(VARIANTS[question],), arms=arms, partners=partners, repeats=3)
    known, offered = list(plan(replace(grid, offers_partners=True))), {}
    for trial in known:
        assert {trial.concept, *(of[trial.concept] for of in partners.values())} <= set(trial.options)
        assert len(set(trial.options)) == len(trial.options)
        assert offered.setdefault((trial.concept, trial.repeat), trial.options) == trial.options
    before = plan(grid)
    assert any(trial.partner not in trial.options for trial in before if trial.partner) or question == "thought"
    assert {trial.id for trial in before}.isdisjoint({trial.id for trial in known}) or question == "thought"


@pytest.mark.parametrize("mode", MODES)
def test_random_vectors_at_several_loops_are_aligned_in_new_grids_and_single_sites_keep_their_hashes(mode: str) -> None:
    before, now = (list(plan(replace(GRID, mode=mode, aligned=aligned))) for aligned in (False, True))  # type: ignore[arg-type]
    for old, new in zip(before, now, strict=True):
        several = new.injection is not None and len(new.injection.sites) > 1
        assert (old.id != new.id) is several
        assert new.injection is None or new.injection.aligned is several


def test_the_text_arm_writes_the_concept_into_the_prompt_and_no_other_arm_does() -> None:
    for trial in plan(replace(GRID, arms=("injected", "none", "text"))):
        assert dict(trial.variables).get("written") == (trial.concept if trial.arm == "text" else None)
        assert (trial.injection is None) is (trial.arm != "injected")


def test_a_question_is_asked_only_in_the_arms_in_which_it_makes_sense() -> None:
    partners = partnered((word, "x") for word in GRID.concepts)
    grid = replace(GRID, variants=(VARIANTS["unrelated"], VARIANTS["control-think"]), arms=ARMS, partners=partners)
    for trial in plan(grid):
        assert trial.arm in VARIANTS[trial.question].question.arms
    assert {t.arm for t in plan(grid) if t.question == "control-think"} == {"none"}


@pytest.mark.parametrize(("sampled", "most"), [(3, 3), (100, 4)])
def test_an_answer_is_no_longer_than_its_question_has_use_for(sampled: int, most: int) -> None:
    grid = replace(GRID, variants=(VARIANTS["unrelated"],), sampling=Sampling(0.5, max_new_tokens=sampled))
    assert {trial.sampling for trial in plan(grid)} == {Sampling(0.5, max_new_tokens=most)}


def test_the_repeats_are_told_the_numbers_in_turn() -> None:
    told = {(t.repeat, dict(t.variables)["number"]) for t in plan(replace(GRID, numbers=(2, 5), repeats=5))}
    assert told == {(0, "2"), (1, "5"), (2, "2"), (3, "5"), (4, "2")}


def test_trials_of_one_prompt_follow_one_another_and_among_these_trials_of_one_site() -> None:
    grid = replace(GRID, variants=(VARIANTS["unrelated"],), concepts=WORDS)
    prompts = [list(alike) for _, alike in groupby(plan(grid), key=lambda trial: trial.variables)]
    assert len(prompts) == len({trial.variables for trial in plan(grid)})
    for alike in prompts:
        sites = [trial.injection.sites for trial in alike if trial.injection]
        assert sum(a != b for a, b in pairwise(sites)) == len(SITES) - 1


def test_the_plan_is_a_stream() -> None:
    for variant in (DETECT, VARIANTS["unrelated"]):
        endless = replace(GRID, variants=(variant,), repeats=10**12)
        assert len(list(islice(plan(endless), 5))) == 5
    assert len(plan(replace(GRID, repeats=10**12))) == 37 * 3 * 10**12


def test_as_many_trials_are_made_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Trial] = []

    def noted(**fields: Any) -> Trial:
        made.append(Trial(**fields))
        return made[-1]

    monkeypatch.setattr("introspect.injection.plan.plan.Trial", noted)
    million = replace(GRID, repeats=10_000)
    assert len(plan(million)) > 10**6
    assert len(list(islice(plan(million), 3))) == len(made) == 3
    assert {one.arm for one in islice(plan(million), 30_000, 30_002)} == {"injected"}
    assert len(made) == 3 + 30_002


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"concepts": ()}, "concepts: the list is empty"),
        ({"sites": ()}, "sites: the list is empty"),
        ({"strengths": ()}, "strengths: the list is empty"),
        ({"extract_loops": ()}, "extract_loops: the list is empty"),
        ({"variants": ()}, "variants: the list is empty"),
        ({"numbers": ()}, "numbers: the list is empty"),
        ({"arms": ("injected", "false")}, "unknown arm 'false'; known: injected, none, random, in-span"),
        ({"mode": "all"}, "unknown injection mode 'all'; known: each, loops, together"),
        ({"unit": "norm"}, "unknown strength unit 'norm'; known: vector, residual, kl"),
        ({"sites": (Site(3, 0),)}, r"site 3:0 .* loops are 0 to 2, layers are 0 to 1"),
        ({"sites": (Site(0, 2),)}, "site 0:2"),
        ({"sites": (Site(-2, 0),)}, "site -2:0"),
        ({"sites": (Site(PRELUDE, 0),)}, "site prelude:0 is outside the model"),
        ({"totals": (5,), "sites": (Site(4, 0),)}, "site 4:0: there are vectors for loops 0 to 2 only"),
        ({"totals": (0, 3)}, "loops 0: must be at least 1"),
        ({"remaining": -1}, "remaining loops -1: must be 0 or more"),
        ({"numbers": (0,)}, "trial_number 0: must be at least 1"),
        ({"extract_loops": (3,)}, "extraction loop 3"),
        ({"strengths": (1.0, float("nan"))}, "strength nan is not a finite number"),
        ({"strengths": (float("inf"),)}, "strength inf"),
        ({"unit": "kl", "strengths": (-0.5,)}, "strength -0.5 nats of KL divergence: must be 0 or more"),
        ({"repeats": 0}, "repeats 0: must be at least 1"),
        ({"sampling": Sampling(max_new_tokens=0)}, "max_new_tokens 0"),
        ({"sampling": Sampling(temperature=-1)}, "temperature -1"),
        ({"sampling": Sampling(temperature=float("nan"))}, "temperature nan"),
        ({"sampling": Sampling(top_p=0)}, "top_p 0"),
        ({"sampling": Sampling(draws="beam")}, "draws 'beam'"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        replace(GRID, **changes)
