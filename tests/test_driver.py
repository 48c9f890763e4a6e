"""Blocks are handed out so that each ends once, whatever workers do: as results, or as failures that name it."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest
from crewed import Staff, blocks, dead, done
from hypothesis import given
from hypothesis import strategies as st
from made import trial

from introspect.errors import InputError
from introspect.experiment.workers.driver import BLOCK_TRIES, hand_out
from introspect.experiment.workers.events import Died, Event, Refused
from introspect.experiment.workers.trial_blocks import Block, cut_into_blocks
from introspect.injection.engine.failures import Failure
from introspect.injection.engine.pace import LONGEST, Pace


def never() -> bool:
    return False


def test_every_block_is_run_once_by_as_many_workers_as_find_something_to_do() -> None:
    staff = Staff(4, lambda _, block: [done(block)])
    ran = [outcome.block.name for outcome in hand_out(staff, blocks(3), never)]
    assert Counter(ran) == Counter(block.name for block in blocks(3))
    assert staff.started <= 3
    assert len(staff.given) == 3


def test_nothing_is_started_for_a_plan_that_is_done() -> None:
    staff = Staff(4, lambda _, block: [done(block)])
    trials = [trial(repeat=repeat) for repeat in range(10)]
    blocks_left = cut_into_blocks(trials, Pace(4), {each.id for each in trials})
    assert (list(hand_out(staff, blocks_left, never)), staff.started) == ([], 0)


def test_a_block_whose_worker_died_goes_to_another() -> None:
    deaths = iter([True, True])
    staff = Staff(1, lambda _, block: [dead(block) if next(deaths, False) else done(block)])
    (outcome,) = hand_out(staff, blocks(1), never)
    assert outcome.results == []
    workers = [worker for worker, _ in staff.given]
    assert len(set(workers)) == len(workers) == 3


def test_a_block_with_which_workers_keep_dying_ends_as_failures_that_name_it() -> None:
    first, second = blocks(2)
    staff = Staff(1, lambda _, block: [dead(block) if block == first else done(block)])
    outcomes = {outcome.block.name: outcome for outcome in hand_out(staff, blocks(2), never)}
    failed = outcomes[first.name].results
    assert [trial for trial, _ in failed] == list(first.trials)
    for _, failure in failed:
        assert isinstance(failure, Failure)
        assert f"block {first.name} failed {BLOCK_TRIES} times" in failure.message
    assert outcomes[second.name].results == []


def test_late_and_double_results_change_nothing() -> None:
    first, *_ = blocks(3)
    late: list[Event] = []

    def answer(worker: int, block: Block) -> list[Event]:
        if worker == 1 and block == first:  # it is thought dead, and its result comes after all
            return [dead(block), done(block)]
        return [done(block), *late, done(first)]

    outcomes = list(hand_out(Staff(1, answer), blocks(3), never))
    assert Counter(outcome.block.name for outcome in outcomes) == Counter(block.name for block in blocks(3))


@given(st.integers(1, 5), st.integers(0, 12), st.sets(st.integers(0, 11), max_size=2), st.randoms())
def test_every_block_ends_once_however_events_fall(size: int, n: int, cursed: set[int], source: random.Random) -> None:
    names = [block.name for block in blocks(n)]
    deadly = {name for number, name in enumerate(names) if number in cursed}
    deaths: Counter[str] = Counter()

    def answer(_: int, block: Block) -> list[Event]:
        if block.name in deadly or (deaths[block.name] < BLOCK_TRIES - 1 and source.random() < 0.4):
            deaths[block.name] += 1
            return [dead(block), *[done(block)] * source.choice([0, 0, 1])]
        return [done(block)] * source.choice([1, 1, 2])

    outcomes = list(hand_out(Staff(size, answer, source=source), blocks(n), never))
    assert Counter(outcome.block.name for outcome in outcomes) == Counter(names)
    assert {outcome.block.name for outcome in outcomes if outcome.results} <= deadly


def test_workers_that_never_get_ready_end_the_sweep_with_their_reason() -> None:
    staff = Staff(2, lambda _, block: [done(block)], ready=Died("no room on the GPU"))
    with pytest.raises(ChildProcessError, match=r"6 workers died while they loaded .*: no room on the GPU"):
        list(hand_out(staff, blocks(9), never))
    assert staff.given == []


def test_a_sweep_of_which_every_block_fails_is_given_up() -> None:
    came: list[str] = []
    with pytest.raises(ChildProcessError, match=r"6 blocks in a row failed 3 times each, .*: killed by SIGKILL"):
        came.extend(outcome.block.name for outcome in hand_out(Staff(2, lambda _, b: [dead(b)]), blocks(99), never))
    assert len(came) == 5


def test_bad_input_that_a_worker_meets_is_raised_as_it_is() -> None:
    error = InputError("not enough memory for one row")
    with pytest.raises(InputError) as raised:
        list(hand_out(Staff(2, lambda *_: [Refused(error)]), blocks(9), never))
    assert raised.value is error


def test_after_the_word_to_stop_only_blocks_under_way_come_back() -> None:
    staff = Staff(3, lambda _, block: [done(block)])
    come: list[str] = []
    for outcome in hand_out(staff, blocks(50), lambda: len(come) >= 4):
        come.append(outcome.block.name)
    assert Counter(come) == Counter(block.name for _, block in staff.given)
    assert 4 <= len(come) <= 4 + 3


def test_a_long_plan_is_fetched_as_it_is_run() -> None:
    fetched, ran = count(), 0

    def counted() -> Iterator[Block]:
        for block in blocks(100):
            next(fetched)
            yield block

    for ran, _ in enumerate(hand_out(Staff(2, lambda _, block: [done(block)]), counted(), never), start=1):
        assert int(repr(fetched)[6:-1]) - ran <= 2 * 2
    assert ran == 100


def test_blocks_are_cut_from_the_whole_plan_and_leave_out_what_is_done() -> None:
    trials = [trial(repeat=repeat) for repeat in range(10)]
    fresh = list(cut_into_blocks(trials, Pace(4), set()))
    assert [each for block in fresh for each in block.trials] == trials
    assert [len(block.trials) for block in fresh] == [4, 4, 2]
    again = list(cut_into_blocks(trials, Pace(4), {trials[5].id}))
    assert [len(block.trials) for block in again] == [4, 3, 2]
    names = [[block.name for block in each] for each in (fresh, again)]
    assert names[0][0] == names[1][0]
    assert names[0][1] != names[1][1]
    assert next(cut_into_blocks(trials, Pace(4), {each.id for each in trials[:4]})).trials == tuple(trials[4:8])


def test_blocks_that_took_too_long_are_followed_by_smaller_ones() -> None:
    pace, seconds = Pace(16), iter([LONGEST + 1, LONGEST - 1, LONGEST + 1, LONGEST + 1, 0.0])
    sizes = []
    for block in cut_into_blocks([trial(repeat=repeat) for repeat in range(40)], pace, set()):
        sizes.append(len(block.trials))
        pace.note(len(block.trials), next(seconds))
    assert sizes == [16, 8, 8, 4, 4]
    assert Pace(16).trials == 16
