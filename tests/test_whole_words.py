"""Options that begin with the same token are read as whole words, after every loop, as plain hooks would read them."""

import itertools
import math

import pytest
import torch
from families import FAMILIES
from injected import Bench, bench, bench_on, responses
from oracle import numbers, oracle, said_along

from introspect.grading import grader_named
from introspect.records.response import WHOLE_WORDS, Measure, Response
from introspect.records.trial import Sampling, Trial

ALIKE = ("ze", "zebra", "zeal", "bread")
"""In the tiny vocabulary three begin with the byte z, and one is the beginning of both others."""
APART = ("bread", "thought")
ROUNDING = 1e-8
"""Of float64."""


@pytest.fixture(scope="module")
def on() -> Bench:
    return bench(torch.float64)


def expected(on: Bench, trial: Trial) -> list[tuple[float, ...]]:
    """Read every option off plain hooks: the whole prompt and all tokens before, anew for each token of a spelling."""
    spelled = {word: on.engine.answers.spellings(word) for word in trial.options}
    every = {tokens for spellings in spelled.values() for tokens in spellings}
    wide = {
        cut: [each[-1].double().softmax(-1) for each in said_along(on, trial, cut)]
        for cut in {tokens[:n] for tokens in every for n in range(len(tokens))}
    }

    def p(tokens: tuple[int, ...], loop: int) -> float:
        return math.prod(wide[tokens[:n]][loop][token].item() for n, token in enumerate(tokens))

    def begins_with(tokens: tuple[int, ...], loop: int) -> float:
        """The probability of all spellings that go on from these tokens, each once."""
        longer = [each for each in every if each != tokens and each[: len(tokens)] == tokens]
        first = [each for each in longer if not any(o != each and each[: len(o)] == o for o in longer)]
        return sum(p(each, loop) for each in first)

    return [
        tuple(math.log(sum(p(t, loop) - begins_with(t, loop) for t in spelled[word])) for word in trial.options)
        for loop in range(trial.n_loops)
    ]


def read(answer: Response) -> list[tuple[float, ...]]:
    return [readout.options for readout in answer.readouts]


def close(one: list[tuple[float, ...]], other: list[tuple[float, ...]]) -> bool:
    return torch.allclose(torch.tensor(one), torch.tensor(other), atol=ROUNDING, rtol=ROUNDING)


@pytest.mark.slow_after(12)
@pytest.mark.parametrize("name", FAMILIES)
def test_options_that_begin_alike_are_read_as_plain_hooks_read_them_in_every_family(name: str) -> None:
    family = FAMILIES[name]
    on = bench_on(family.make(dtype=torch.float64), loops=family.loops)
    last = on.looped.n_loops - 1
    sites = [(), ((0, 0),), ((last, on.looped.n_layers - 1),)]
    trials = [
        on.trial(*at, prompt=prompt, options=("ze", "zeal"), sampling=Sampling(max_new_tokens=2))
        for at, prompt in zip(sites, ("closed", "parted", "open"), strict=True)
    ]
    for trial, answer in zip(trials, responses(on.engine.run(trials)), strict=True):
        assert close(read(answer), expected(on, trial)), trial
        assert answer.token_ids == oracle(on, trial, answer.token_ids)[0]


@pytest.mark.slow
def test_options_that_begin_alike_are_read_right_at_every_site_and_span(on: Bench) -> None:
    prompts, sites = ("open", "closed", "parted", "two"), [(), ((0, 0),), ((1, 1), (2, 0)), ((2, 1),)]
    trials = [
        on.trial(*at, prompt=prompt, options=ALIKE, n_loops=n_loops, extract_loop=1)
        if at
        else on.trial(prompt=prompt, options=ALIKE, n_loops=n_loops)
        for at, prompt, n_loops in itertools.product(sites, prompts, (3, 4))
    ]
    for trial, answer in zip(trials, responses(on.engine.run(trials, rows=5)), strict=True):
        assert close(read(answer), expected(on, trial)), trial


def test_all_options_together_are_no_likelier_than_certain_and_each_is_told_from_the_others(on: Bench) -> None:
    for answer in responses(on.engine.run([on.trial((0, 1), options=ALIKE), on.trial(options=ALIKE[:3])])):
        for options in read(answer):
            assert sum(map(math.exp, options)) <= 1 + ROUNDING
            assert len(set(options)) == len(options)


def test_what_goes_on_to_a_longer_option_is_that_options_alone(on: Bench) -> None:
    short, both = responses(on.engine.run([on.trial(options=("ze", "zo")), on.trial(options=("ze", "zebra", "zo"))]))
    for alone, split in zip(read(short), read(both), strict=True):
        assert math.exp(alone[0]) == pytest.approx(math.exp(split[0]) + math.exp(split[1]), rel=ROUNDING)


def test_a_trial_is_read_alike_alone_in_any_batch_and_in_any_order(on: Bench) -> None:
    made = [on.trial((0, 0), options=ALIKE), on.trial((2, 1), options=ALIKE[1:]), on.trial(options=("zeal", "zoo"))]
    mixed = [*on.mixed(seed=3, n=5), *made, on.trial((1, 1), options=APART)]
    alone = {trial.id: responses(on.engine.run([trial]))[0] for trial in mixed}
    for order, rows in ((mixed, None), (mixed[::-1], 2), (mixed[::2] + mixed[1::2], 1), (mixed, 5)):
        for trial, answer in zip(order, responses(on.engine.run(order, rows)), strict=True):
            assert answer.token_ids == alone[trial.id].token_ids
            assert torch.allclose(numbers(answer.readouts), numbers(alone[trial.id].readouts), atol=1e-9, rtol=0)


def test_it_is_noted_how_the_options_were_read_and_the_answer_is_the_same(on: Bench) -> None:
    alike, apart = responses(on.engine.run([on.trial((0, 1), options=ALIKE), on.trial((0, 1), options=APART)]))
    assert alike.measures == (Measure(WHOLE_WORDS, 0, 0, 1.0),)
    assert apart.measures == ()
    assert alike.token_ids == apart.token_ids


def test_a_concept_that_shares_its_first_token_with_another_option_has_no_rank(on: Bench) -> None:
    shared, own = responses(on.engine.run([on.trial(concept=word, options=ALIKE) for word in ("zebra", "bread")]))
    assert {readout.concept_rank for readout in shared.readouts} == {None}
    assert None not in {readout.concept_rank for readout in own.readouts}


def test_the_grader_chooses_among_whole_words_and_says_so(on: Bench) -> None:
    trial = on.trial((0, 1), options=ALIKE, question="choose", protocol="choose")
    (answer,) = responses(on.engine.run([trial]))
    grade = grader_named("logits")(trial, answer)
    assert "whole words" in grade.evidence
    assert "a tie" not in grade.evidence


def test_reading_whole_words_is_not_work_that_answers_need() -> None:
    fresh = [bench(torch.float64) for _ in range(2)]
    for options, each in zip((ALIKE, APART), fresh, strict=True):
        each.engine.run([each.trial((0, 1), options=options)])
    alike, apart = (each.engine.work for each in fresh)
    assert alike.done - alike.least == apart.done - apart.least
    assert alike.done > apart.done
