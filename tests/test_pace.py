"""How many trials make a block: a number that is worked out and not measured, so that a continued run has the same."""

from typing import Any

import pytest
import torch

from introspect.injection.engine.block_stream import BLOCK
from introspect.injection.engine.pace import AIM, FEWEST_ROWS, LONGEST, Pace, block_size, seconds_of_trial
from tests.injected import bench

ON = bench()
HOW: dict[str, Any] = {"n_loops": 3, "max_new_tokens": 20, "rows": 16}


def size(**changes: Any) -> int:
    return block_size(ON.looped, ON.prompts["open", ()], **(HOW | changes))


def test_a_small_model_has_blocks_of_several_batches() -> None:
    assert size() == BLOCK * 16


def test_a_block_of_a_slower_model_has_fewer_trials_and_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("introspect.injection.engine.pace.SPEED", {"cpu": 2e6})
    sizes = [size(**change) for change in ({}, {"n_loops": 6}, {"n_loops": 6, "max_new_tokens": 50}, {"n_loops": 90})]
    assert sizes == sorted(set(sizes), reverse=True)
    assert sizes[0] < BLOCK * 16
    assert sizes[-1] == FEWEST_ROWS


def test_workers_that_share_the_processor_have_smaller_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("introspect.injection.engine.pace.SPEED", {"cpu": 2e5})
    monkeypatch.setattr(torch, "get_num_threads", lambda: 12)
    assert size(sharing=8) < size(sharing=2) < size(sharing=1)


def test_a_block_takes_the_seconds_that_were_aimed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("introspect.injection.engine.pace.SPEED", {"cpu": 2e6})
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    each = seconds_of_trial(ON.looped, ON.prompts["open", ()], **HOW)
    assert AIM / 2 < size() * each <= AIM < LONGEST


def test_a_pace_slows_down_only_behind_a_block_that_took_too_long() -> None:
    pace = Pace(64)
    pace.note(64, LONGEST)
    assert pace.trials == 64
    pace.note(10, LONGEST + 1)  # what was left of a block
    assert pace.trials == 5
    pace.note(5, LONGEST + 1)
    assert pace.trials == FEWEST_ROWS
