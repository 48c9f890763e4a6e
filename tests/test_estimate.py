"""What a sweep would take: drawn from all of the plan without walking it, and worked out from what pieces took."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from swept import TOTAL, options

from introspect.experiment.estimate import estimate
from introspect.experiment.estimate.costs import CostPiece, Costs, Crowd, fitted_costs, merged, started, stepped
from introspect.experiment.estimate.sample import Sample

PIECE = CostPiece((3, 9, 12), injected=2, starts=2, calls=160, walked=66, tokens=400, sites=6.0, seconds=2.0)


def test_an_estimate_counts_the_real_plan_and_stores_nothing(tiny: Path, tmp_path: Path) -> None:
    found, reported = estimate(options(tiny, tmp_path / "run")), list[tuple[int, int]]()
    assert (len(found.trials), found.counts.total) == (TOTAL, TOTAL)
    assert (found.batch_size, found.block) == (2, 8)
    assert found.bytes > 0
    timing = found.timing(lambda done, total: reported.append((done, total)))
    assert reported == [(0, 2), (1, 2), (2, 2)]
    assert 0 < timing.prompts < timing.seconds
    assert list(tmp_path.iterdir()) == []


def test_a_sample_is_drawn_without_walking_the_plan(tiny: Path, tmp_path: Path) -> None:
    """A walk through so many would take years."""
    found = estimate(options(tiny, tmp_path, repeats=10**11, trial_numbers="1,2,3"))
    sample = Sample(found.laboratory, found.vectors, found.trials, 2, 8)
    assert found.counts.total == TOTAL * 10**11
    drawn = [trial for section in (0, 1) for trial in sample.drawn(section, 5 / 6, 8)]
    assert len({trial.id for trial in drawn}) == 16


def test_a_sample_is_drawn_over_all_cells_of_a_prompt(tiny: Path, tmp_path: Path) -> None:
    found = estimate(options(tiny, tmp_path, repeats=10, layers="all"))
    sample = Sample(found.laboratory, found.vectors, found.trials, 2, 8)
    drawn = sample.drawn(0, 1 / 2, 40)
    assert {trial.arm for trial in drawn} >= {"injected", "random", "wrong"}
    assert {trial.injection.strength for trial in drawn if trial.injection} == {2, 4}
    assert {trial.injection.sites for trial in drawn if trial.injection} == {(site,) for site in found.laboratory.sites}


@given(some.floats(1e-5, 1), some.floats(1e-7, 1e-2))
def test_costs_are_found_again_in_what_they_make(call: float, token: float) -> None:
    true, sizes = Costs(call, token), [(40, 100), (200, 3000), (90, 90)]
    pieces = [
        CostPiece((3,), injected=0, starts=0, calls=c, walked=0, tokens=t, sites=6.0, seconds=true.seconds(c, t))
        for c, t in sizes
    ]
    assert fitted_costs(pieces).seconds(500, 9000) == pytest.approx(true.seconds(500, 9000), rel=1e-6)


def test_the_forwards_of_a_pool_are_those_of_its_longest_answer_and_a_mean_one_for_each_more_batch() -> None:
    assert stepped(PIECE, Crowd(pool=3, rows=8, alike=9)) * 3 == 11
    assert stepped(PIECE, Crowd(pool=24, rows=8, alike=9)) * 24 == 11 + 2 * 7
    assert stepped(PIECE, Crowd(pool=1, rows=8, alike=9)) == 7


def test_trials_begin_together_where_their_first_site_is_one() -> None:
    assert started(PIECE, Crowd(pool=30, rows=30, alike=10**9)) * 30 == pytest.approx(2 / 3)
    assert started(PIECE, Crowd(pool=30, rows=30, alike=1)) == pytest.approx(2 / 3)
    refilled = Crowd(pool=300, rows=40, alike=10**9)
    assert started(PIECE, refilled) * 300 == pytest.approx(2 / 3 * 300 / 20)


def test_pieces_of_one_question_add_up() -> None:
    twice = merged([PIECE, PIECE])
    assert (twice.trials, twice.mean, twice.sites) == (2 * PIECE.trials, PIECE.mean, PIECE.sites)
    assert Costs(1, 1).trial(twice, Crowd(5, 5, 5)) == pytest.approx(Costs(1, 1).trial(PIECE, Crowd(5, 5, 5)))
