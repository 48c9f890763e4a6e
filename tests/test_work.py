"""Theorems about the count of work: it counts what the blocks see, and the engine does no more than is needed."""

import torch

from introspect.records.trial import Sampling
from tests.injected import bench, responses, traced


def test_the_count_is_what_the_blocks_see_and_what_the_plan_needs() -> None:
    on = traced(bench())
    seen = 0

    def see(_: object, given: tuple[torch.Tensor, ...]) -> None:
        nonlocal seen
        seen += given[0].shape[:-1].numel()

    for block in on.looped.blocks:
        block.register_forward_pre_hook(see)
    responses(on.engine.run(on.mixed(seed=1, n=60), 7))
    assert on.engine.work.done == seen
    assert on.engine.work.least == seen


def test_the_least_of_known_answers_can_be_worked_out_by_hand() -> None:
    on = traced(bench())
    on.looped.end_of_turn = ()
    sampling = Sampling(max_new_tokens=4)
    trials = [on.trial((1, 0), sampling=sampling), on.trial((2, 1), sampling=sampling), on.trial(sampling=sampling)]
    responses(on.engine.run(trials))
    sites, prompt, rest = 6, 12, 6
    answers = 3 * 3 * sites
    once_more_without_injection = 2 * 3 * sites
    assert on.engine.work.least == prompt * sites + rest * 3 + rest * 0 + answers + once_more_without_injection
    assert on.engine.work.ratio == 1.0


def test_a_step_that_is_checked_is_run_once_more_than_is_needed() -> None:
    on = bench()
    on.looped.end_of_turn = ()
    responses(on.engine.run([on.trial((1, 0), sampling=Sampling(max_new_tokens=4))]))
    assert on.engine.work.done == on.engine.work.least + len(on.looped.sites(3))  # the first of its three steps


def test_a_trial_that_fails_is_work_for_nothing() -> None:
    on = bench()
    on.engine.run([on.trial((0, 0), strength=1e39)])
    assert on.engine.work.done > on.engine.work.least == 12 * 6
