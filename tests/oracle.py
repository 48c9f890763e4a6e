"""The oracle of injections: plain torch forward hooks that count the calls of each block, and nothing else.

On them stands an oracle of the engine: one trial at a time, the whole text in one forward, no cache. It shares
with the engine the keyed draws, and nothing of how it injects or reads out.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from introspect.injection.answers.sampling import random_words
from introspect.injection.engine.engine import prompt_key
from introspect.injection.engine.vectors_of_arms import (
    direction_in_span,
    permutation,
    random_direction,
    swapped_prompts,
)
from introspect.models.looped_model import LoopedModel
from introspect.prompts import Encoded
from introspect.records.response import Readout
from introspect.records.trial import Site, Trial
from tests.injected import Bench


@contextmanager
def hooked(looped: LoopedModel, visits: Mapping[Site, Callable[[Tensor], None]]) -> Iterator[None]:
    """Call each visit with the live output of its block, in the forwards run inside; every forward counts anew.

    Where tokens are run one after another, a visit is shown the token behind those before it, as their blocks put them
    out, and zeros behind; what it does to the token itself is kept.
    """
    loops = 1 + max((site.loop for site in visits if site.stage == "core"), default=0)
    texts: dict[str, Tensor | int] = {}
    so_far: dict[tuple[nn.Module, int], Tensor] = {}
    planned = {looped.locate(site, loops): visit for site, visit in visits.items()}
    calls: dict[nn.Module, int] = {}

    def restart(_: nn.Module, given: tuple[Tensor, ...], named: Mapping[str, Tensor | int]) -> None:
        calls.clear()
        so_far.clear()
        if looped.by_token:
            texts.update(ids=named["input_ids"] if "input_ids" in named else given[0], loops=named["n_loops"])

    def visit_token(block: nn.Module, _: object, output: Tensor) -> None:
        calls[block] = calls.get(block, -1) + 1
        token, loop = divmod(calls[block], texts["loops"])
        if (block, loop) in planned:
            empty = torch.zeros(*texts["ids"].shape, output.shape[-1], dtype=output.dtype)
            states = so_far.setdefault((block, loop), empty)
            with torch.no_grad():
                states[:, token] = output[:, 0]
                shown = states.clone()
                planned[block, loop](shown)
                output[:, 0] = shown[:, token]

    def visit(block: nn.Module, _: object, output: Tensor) -> None:
        calls[block] = calls.get(block, -1) + 1
        function = planned.get((block, calls[block]))
        if function is not None:
            with torch.no_grad():
                function(output)

    hook = visit_token if looped.by_token else visit
    handles = [looped.model.register_forward_pre_hook(restart, with_kwargs=True)]
    handles += [block.register_forward_hook(hook) for block in {block: None for block, _ in planned}]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def oracle(on: Bench, trial: Trial, answer: Sequence[int]) -> tuple[tuple[int, ...], list[Readout]]:
    """Return what a trial draws behind its prompt and behind every token of an answer, up to its end; its read-outs.

    One forward of the whole text gives them all: the answer is the trial's own if and only if these tokens are its.
    """
    said, drawn = said_along(on, trial, answer), list[int]()
    while not drawn or not _finished(on, trial, drawn):
        assert len(drawn) < len(answer), "the answer ends before its end"
        drawn.append(_draw(said[-1][len(drawn)].double().numpy(), trial, len(drawn)))
    return tuple(drawn), [_readout(on, trial, each[0], loop) for loop, each in enumerate(said)]


def said_along(on: Bench, trial: Trial, answer: Sequence[int]) -> list[Tensor]:
    """Return what each loop says behind the prompt and each token of an answer, `(tokens + 1, vocabulary)`."""
    encoded, states = on.prompts[prompt_key(trial)], dict[int, Tensor]()
    with hooked(on.looped, _visits(on, trial, len(encoded.token_ids) + len(answer), states)):
        output = _forward(on, trial, answer)
    with torch.no_grad():
        if on.looped.summed:
            said = [on.looped.model.head(state) for state in output.loop_states[:-1]]
        else:
            said = [on.looped.readout(states[loop]) for loop in range(trial.n_loops - 1)]
    return [each[0, len(encoded.token_ids) - 1 :] for each in (*said, output.logits)]


def clean_logprob(on: Bench, trial: Trial, answer: Sequence[int]) -> float:
    """Return the mean log-probability of an answer with nothing injected."""
    logits = _forward(on, trial, answer).logits[0, -1 - len(answer) : -1].double()
    return -cross_entropy(logits, torch.tensor(answer)).item()


def pushed(on: Bench, trial: Trial, site: Site) -> Tensor:
    """Return what a trial of unit `vector` adds at a site where its weight is 1, in float64."""
    injection, word = trial.injection, trial.partner if trial.arm == "wrong" else trial.concept
    assert injection is not None
    loop, row = site.loop if injection.extract_loop is None else injection.extract_loop, on.vectors.words.index(word)
    looped = site.stage == "core"
    vector = on.vectors.values[row, loop, site.layer] if looped else on.vectors.outside[site.stage][row, site.layer]
    vector = vector.double()

    def swapped() -> Tensor:
        """Put the states of the second prompt in place of the first one's, and bring what changed to the norm."""
        states = on.vectors.states
        states_there = states.values[:, loop, site.layer] if looped else states.outside[site.stage][:, site.layer]
        before, after = states_there[list(swapped_prompts(trial.seed, trial.concept, states.texts))].double()
        return (after - before) * (vector.norm() / torch.dist(before, after))

    made = {
        "swap": swapped,
        "random": lambda: random_direction(trial.seed, site, injection, len(vector)) * vector.norm(),
        "in-span": lambda: direction_in_span(trial, site, on.vectors) * vector.norm(),
        "negated": lambda: -vector,
        "shuffled": lambda: vector[permutation(trial.seed, len(vector))],
    }
    return injection.strength * made.get(trial.arm, lambda: vector)()


def weights_of(encoded: Encoded, weights: Sequence[float], length: int) -> Tensor:
    """Return by what an addition is multiplied at each of so many positions, `(length, 1)`; 0 outside of the spans."""
    given = torch.zeros(length, 1, dtype=torch.float64)
    for number, (start, stop) in enumerate(encoded.spans):
        for position in range(start, length if stop is None else stop):
            given[position] = weights[number] if weights else 1.0
    return given


def numbers(readouts: Sequence[Readout]) -> Tensor:
    """Return read-outs as rows of numbers, `(loop, number)`."""
    rows = [(r.loop, r.logit_yes, r.logit_no, r.mass, r.entropy, *r.options) for r in readouts]
    return torch.tensor(rows, dtype=torch.float64)


@torch.no_grad()
def _forward(on: Bench, trial: Trial, answer: Sequence[int]) -> Any:
    prompt = on.prompts[prompt_key(trial)].token_ids
    ids = torch.tensor([[*prompt, *answer]])
    arguments = on.looped.forward_arguments(trial.n_loops)
    arguments |= on.looped.prompt_arguments(torch.arange(ids.shape[1])[None] < len(prompt))
    return on.looped.model(input_ids=ids, use_cache=False, **arguments)


def _finished(on: Bench, trial: Trial, answer: list[int]) -> bool:
    ended = answer[-1] in on.looped.end_of_turn or on.looped.turns.over(answer)
    return ended or len(answer) == trial.sampling.max_new_tokens


def _visits(on: Bench, trial: Trial, length: int, states: dict[int, Tensor]) -> dict[Site, partial[None]]:
    injection, encoded = trial.injection, on.prompts[prompt_key(trial)]
    added = {}
    if injection is not None:
        weights = weights_of(encoded, injection.weights, length)
        added = {site: pushed(on, trial, site) * weights for site in injection.sites}

    def visit(site: Site, h: Tensor) -> None:
        if site in added:
            h[0] += added[site].to(h.dtype)
        if site.stage == "core" and site.layer == on.looped.n_layers - 1:
            states[site.loop] = h.clone()

    return {site: partial(visit, site) for site in on.looped.sites(trial.n_loops)}


def _draw(logits: np.ndarray, trial: Trial, step: int) -> int:
    if trial.sampling.temperature == 0:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()) / trial.sampling.temperature)
    weights /= weights.sum()
    left = 0.0
    for token in np.argsort(-weights, kind="stable"):
        weight = weights[token]
        if left >= trial.sampling.top_p and trial.sampling.top_p < 1:
            weights[token] = 0.0
        left += weight
    word = random_words([trial.seed], step + 1)[0, step].item() % 2**64
    if trial.sampling.draws == "inverse-cdf":
        reached = weights.cumsum()
        return int((reached > (word >> 11) / 2**53 * reached[-1]).argmax())
    width = math.ceil(math.sqrt(len(weights)))
    groups = np.split(weights, range(width, len(weights), width))
    first = _first([group.sum() for group in groups], word, 0)
    return first * width + _first(groups[first], word, len(groups))


def _first(rates: Sequence[float] | np.ndarray, word: int, place: int) -> int:
    """Return who arrives first, each after an exponential time of its own rate; `place` is that of the first one."""
    arrivals = [_exponential(word, place + n) / rate if rate else math.inf for n, rate in enumerate(rates)]
    return arrivals.index(min(arrivals))


def _exponential(word: int, place: int) -> float:
    """Return the exponential number at a place of the SplitMix64 stream that begins at a word."""
    mixed = (word + (place + 1) * 0x9E3779B97F4A7C15) % 2**64
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
    return -math.log(((mixed ^ mixed >> 31) // 2**12 + 0.5) / 2**52)


def _readout(on: Bench, trial: Trial, logits: Tensor, loop: int) -> Readout:
    """Read out what is said after a loop, by plain sums over a softmax."""
    logits = logits.double()
    p = logits.exp() / logits.exp().sum()
    yes, no = list(on.engine.answers.yes), list(on.engine.answers.no)
    said = [logits[tokens].exp().sum().log().item() for tokens in (yes, no)]
    options = tuple(p[begins(on, option)].sum().log().item() for option in trial.options)
    own = max(p[begins(on, trial.concept)].tolist())
    rank = sum(1 for number in p.tolist() if number > own)
    return Readout(loop, *said, p[yes + no].sum().item(), -(p * p.log()).sum().item(), options, rank)


def begins(on: Bench, word: str) -> list[int]:
    """List the tokens with which the four spellings of a word begin, white space left out where a letter follows."""
    spelled = [lead + form for form in (word, word.capitalize()) for lead in ("", " ")]
    firsts = {on.looped.tokenizer(text, add_special_tokens=False)["input_ids"][0] for text in spelled}
    return sorted({first for first in firsts if on.looped.tokenizer.decode([first]).strip()} or firsts)
