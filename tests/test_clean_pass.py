"""Theorems about the probability of answers with nothing injected."""

import pytest
import torch

from introspect.injection.engine.engine import key_of
from introspect.injection.prefix.clean_pass import clean_logprobs, least_for_answers, logprob_of
from introspect.records.trial import Sampling
from tests.injected import Bench, bench, responses

GREEDY = Sampling(temperature=0.0, max_new_tokens=6)


def measured(on: Bench, answers: list[tuple[int, ...]], rows: int = 4) -> dict[tuple[int, ...], float | None]:
    with torch.inference_mode():
        return clean_logprobs(on.engine.tap, on.engine.prefix(key_of(on.trial())), answers, rows)


def test_what_is_added_up_while_drawing_is_what_the_pass_over_the_finished_answer_gives() -> None:
    on = bench(torch.float64)
    trials = [on.trial(seed=seed, sampling=Sampling(max_new_tokens=9)) for seed in range(8)]
    drawn = {answer.token_ids: answer.clean_logprob for answer in responses(on.engine.run(trials))}
    assert len(drawn) > 4
    assert measured(on, list(drawn)) == pytest.approx(drawn, abs=1e-12)


def test_an_answer_is_the_same_alone_and_among_longer_and_shorter_ones() -> None:
    on = bench(torch.float64)
    source = torch.Generator().manual_seed(1)
    answers = [tuple(torch.randint(3, 50, (n,), generator=source).tolist()) for n in (1, 2, 5, 7, 8, 9, 9, 9, 9)]
    together = measured(on, answers)
    for answer in answers:
        assert measured(on, [answer], 1)[answer] == pytest.approx(together[answer], abs=1e-12)


def test_the_most_probable_answer_is_worse_than_none_that_an_injection_led_to() -> None:
    on = bench(torch.float64)
    clean, moved = responses(
        on.engine.run([on.trial(sampling=GREEDY), on.trial((0, 0), strength=8.0, sampling=GREEDY)])
    )
    assert clean.token_ids != moved.token_ids
    first = next(i for i, (a, b) in enumerate(zip(clean.token_ids, moved.token_ids, strict=False)) if a != b)
    own, others = ({answer.token_ids[: first + 1]} for answer in (clean, moved))
    found = measured(on, [*own, *others])
    assert max(found[one] for one in own) > max(found[one] for one in others)


def test_equal_answers_are_run_once_and_work_is_what_is_not_padding() -> None:
    on = bench()
    on.engine.prefix(key_of(on.trial()))
    before = on.engine.tap.work
    measured(on, [(5, 6, 7, 8)] * 5 + [(9, 9, 9, 9)])
    sites = len(on.looped.sites(3))
    assert on.engine.tap.work - before == least_for_answers([(5, 6, 7, 8)] * 5 + [(9, 9, 9, 9)], sites) == 2 * 3 * sites


def test_a_token_that_cannot_be_has_no_finite_number_and_counts_as_not_measured() -> None:
    on = bench()
    prefix = on.engine.prefix(key_of(on.trial()))
    prefix.logits[0, 5] = -torch.inf
    assert measured(on, [(5,), (6,)])[(5,)] is None
    assert logprob_of(prefix.logits, torch.tensor([6])).item() == pytest.approx(measured(on, [(6,)])[(6,)], abs=1e-6)
