"""Trials of many prompts in one run: each is answered as if it were alone, however few prompts are kept."""

import pytest
import torch

from introspect.errors import InputError
from introspect.injection.engine import engine as engines
from introspect.injection.engine.block_stream import run_all
from introspect.injection.engine.engine import Engine, prompt_key
from introspect.models.tap import Tap
from introspect.prompts import Prompts, template_named
from introspect.records.trial import Sampling, Trial
from tests.injected import SPANS, VARIED, Bench, bench, encoded, responses, traced

SHORT = Sampling(max_new_tokens=4)


def many(on: Bench, n: int) -> list[Trial]:
    """Make two trials of each of `n` prompts of one template, which differ in one token, in no order of the prompts."""
    trials = []
    for number in range(n):
        variables = (("number", str(number)),)
        ids = on.prompts["two", ()].token_ids
        on.prompts["two", variables] = encoded((*ids[:8], 20 + number, *ids[9:]), SPANS["two"])
        of = {"prompt": "two", "variables": variables, "sampling": SHORT}
        trials += [on.trial((1, 0), seed=number, **of), on.trial(seed=number, **of)]
    return trials[::2] + trials[1::2]


def alone(on: Bench, trial: Trial) -> tuple[int, ...]:
    """Return the tokens of a trial from an engine that has run nothing else."""
    key = prompt_key(trial)
    return responses(Engine(Tap(on.looped), {key: on.prompts[key]}, on.vectors).run([trial]))[0].token_ids


def test_trials_of_different_prompts_and_numbers_of_loops_give_the_same_text_as_alone() -> None:
    on = bench(torch.float64)
    trials = [*many(on, 5), *on.mixed(seed=9, n=12)]
    together = responses(on.engine.run(trials, 3))
    assert [answer.token_ids for answer in together] == [alone(on, trial) for trial in trials]
    assert [answer.trial_id for answer in together] == [trial.id for trial in trials]
    assert len({answer.token_ids for answer in together[:5]}) > 3


def test_a_prompt_is_told_by_its_variables_and_not_by_its_template_alone() -> None:
    on = bench()
    same = [on.trial(prompt="two", variables=variables) for variables in ((), VARIED[1])]
    one, other = responses(on.engine.run(same))
    assert one.readouts != other.readouts


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("kept", [1, 3])
def test_more_prompts_than_are_kept_give_the_same_answers(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "KEPT_PREFIXES", kept)
    on = bench(torch.float64)
    trials = many(on, 7)
    expected = [alone(on, trial) for trial in trials]
    blocks = [result for block in run_all(on.engine, trials, 1) for _, result in block]
    assert [answer.token_ids for answer in responses(blocks)] == expected
    assert len(on.engine._prefixes) == kept
    again = responses(on.engine.run(trials[::-1]))
    assert [answer.token_ids for answer in again] == expected[::-1]


def test_the_prompt_used_last_is_kept_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "KEPT_PREFIXES", 2)
    on = bench()
    first, second, third = ((name, ()) for name in ("open", "closed", "two"))
    kept = on.engine.prefix((first, 3, "last"))
    on.engine.prefix((second, 3, "last"))
    assert on.engine.prefix((first, 3, "last")) is kept
    on.engine.prefix((third, 3, "last"))
    assert set(on.engine._prefixes) == {(first, 3, "last"), (third, 3, "last")}
    assert on.engine.prefix((first, 3, "last")) is kept


def test_what_a_prompt_takes_is_work_that_is_needed_as_often_as_it_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "KEPT_PREFIXES", 1)
    on = traced(bench())
    trials = many(on, 3)
    responses(on.engine.run([*trials, *trials]))
    assert on.engine.work.done == on.engine.work.least


def test_prompts_are_made_when_they_are_asked_for_and_one_of_another_template_is_refused() -> None:
    on = bench()
    template = template_named("compare")
    engine = Engine(on.engine.tap, Prompts([template], on.looped.tokenizer), on.vectors)
    lines = (("first", "The tide comes in."), ("second", "The lamp is lit."))
    asked = {"prompt": template.hash, "sampling": SHORT}
    (answer,) = responses(engine.run([on.trial((0, 1), variables=lines, weights=(2.0, 1.0), **asked)]))
    assert list(engine.prompts) == [(template.hash, lines)]
    swapped = tuple(zip(("first", "second"), ("The lamp is lit.", "The tide comes in."), strict=True))
    (other,) = responses(engine.run([on.trial((0, 1), variables=swapped, weights=(2.0, 1.0), **asked)]))
    assert other.readouts != answer.readouts
    with pytest.raises(InputError, match="unknown template hash 'other'"):
        engine.run([on.trial(prompt="other")])
