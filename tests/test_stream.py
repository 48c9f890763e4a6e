"""Trials as a stream of blocks: order, memory that runs out, and how many rows fit."""

from collections.abc import Sequence

import pytest
import torch

from introspect.errors import InputError
from introspect.injection.engine.block_stream import run_all
from introspect.injection.engine.engine import Engine
from introspect.injection.engine.failures import Failure
from introspect.injection.prefix.memory import bytes_per_row, rows_that_fit
from introspect.records.response import Response
from introspect.records.trial import Trial
from tests.injected import bench, responses


class Small(Engine):
    """An engine on a machine on which so many rows fit; it keeps what was tried: trials, and rows side by side."""

    def __init__(self, of: Engine, fits: int, error: RuntimeError) -> None:
        super().__init__(of.tap, of.prompts, of.vectors)
        self.fits, self.error, self.tried = fits, error, list[tuple[int, int]]()

    def run(self, trials: Sequence[Trial], rows: int | None = None) -> list[Response | Failure]:
        rows = min(rows or len(trials), len(trials))
        self.tried.append((len(trials), rows))
        if rows > self.fits:
            raise self.error
        return super().run(trials, rows)


ON = bench(torch.float64)
TRIALS = ON.mixed(seed=5, n=11)
CPU = RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate")


def test_blocks_come_in_order_and_equal_one_large_run() -> None:
    blocks = list(run_all(ON.engine, iter(TRIALS), 1))
    assert [len(block) for block in blocks] == [4, 4, 3]
    assert [trial for block in blocks for trial, _ in block] == TRIALS
    tokens = [response.token_ids for response in responses(ON.engine.run(TRIALS))]
    assert [r.token_ids for r in responses([result for block in blocks for _, result in block])] == tokens


@pytest.mark.parametrize(
    "error", [CPU, torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("not enough memory")]
)
def test_rows_that_do_not_fit_are_halved_for_good_and_no_trial_is_lost(error: RuntimeError) -> None:
    engine = Small(ON.engine, 1, error)
    blocks = list(run_all(engine, iter(TRIALS), 2))
    assert engine.tried == [(8, 2), (8, 1), (3, 1)]
    assert [trial for block in blocks for trial, _ in block] == TRIALS


def test_not_even_one_row_is_the_users_error() -> None:
    with pytest.raises(InputError, match="not enough memory for one row"):
        list(run_all(Small(ON.engine, 0, CPU), TRIALS, 4))


def test_other_errors_are_not_taken_for_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        list(run_all(Small(ON.engine, 0, RuntimeError("shapes do not match")), TRIALS, 4))


def test_the_stream_is_read_no_further_than_needed() -> None:
    left = iter(TRIALS)
    next(run_all(ON.engine, left, 1))
    assert list(left) == TRIALS[4:]


def test_a_row_takes_at_least_its_cache_and_more_with_more_loops_and_tokens() -> None:
    encoded = ON.prompts["open", ()]
    sizes = [
        bytes_per_row(ON.looped, encoded, n_loops=n_loops, max_new_tokens=tokens)
        for n_loops, tokens in ((1, 10), (3, 10), (3, 100))
    ]
    assert sizes == sorted(set(sizes))
    assert sizes[2] > (6 + 100) * ON.looped.bytes_per_token(3)


def test_the_batch_size_is_what_fits_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows_that_fit(ON.looped, 1) == 256
    assert rows_that_fit(ON.looped, 1, most=7) == 7
    with pytest.raises(InputError, match="not enough memory for one row"):
        rows_that_fit(ON.looped, 10**18)
    monkeypatch.setattr("introspect.injection.prefix.memory.free_bytes", lambda _: 1000)
    assert [rows_that_fit(ON.looped, size) for size in (200, 799, 800)] == [4, 1, 1]  # a fifth stays free
    with pytest.raises(InputError, match="not enough memory for one row"):
        rows_that_fit(ON.looped, 801)
    with pytest.raises(InputError, match="batch size 0"):
        list(run_all(ON.engine, TRIALS, 0))
