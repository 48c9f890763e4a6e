"""Draws that belong to a trial: one random word a (seed, step), turned into a token by the Gumbel-max trick.

Goes in: logits and the words. Comes out: tokens. Nothing depends on the batch, the device or torch's generators, and
noise belongs to a place in the vocabulary, so that trials of one seed share it.

Whoever has the greatest logit plus Gumbel noise wins (Maddison, Tarlow and Minka, 2014, "A* Sampling"), written as a
race: probability p arrives after an exponential time divided by p. The race has two heats, groups of neighbouring
tokens and the tokens of the group that won, so that a vocabulary of V needs 2 sqrt(V) numbers; the distribution is the
same. Logits that differ by rounding change the winner with a probability of that difference. An inverse CDF, as trials
before design 4 use it, has a border at every token: over 49,000 words float32 changed one token in some hundreds.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

_STEP = -0x61C8864680B583EB
_MIX = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1))
"""SplitMix64 (Steele, Lea and Flood, 2014): the step of its counter, and shifts and factors, as signed 64-bit words."""


def random_words(seeds: Sequence[int], steps: int) -> Tensor:
    """Return `(len(seeds), steps)` int64 of 64 random bits: row and column depend on that seed and step alone.

    They are the raw words of numpy's Philox, whose stream is fixed for all versions of numpy.
    """
    words = np.stack([np.random.Philox(key=seed).random_raw(steps) for seed in seeds])
    return torch.from_numpy(words.view(np.int64))


def uniforms(seeds: Sequence[int], steps: int) -> Tensor:
    """Return the same words as float64 numbers in [0, 1)."""
    return _unit(random_words(seeds, steps))


def draw(logits: Tensor, words: Tensor, temperature: Tensor, top_p: Tensor, by_cdf: Tensor) -> Tensor:
    """Draw one token a row; logits are `(rows, vocabulary)`, all else is `(rows,)`, float64 numbers on the CPU.

    Temperature 0 takes the most probable token, the first of equals. `top_p` keeps the fewest of the most probable
    tokens whose probabilities add up to it. Rows where `by_cdf` is true invert the CDF. What no row needs is left out,
    as the host can tell without asking the device that holds the logits.
    """
    logits = logits.cpu() if logits.device.type == "mps" else logits  # which has no float64
    greedy, cut = temperature == 0, bool((top_p < 1).any())
    most = logits.argmax(-1) if greedy.any() else None
    if most is not None and greedy.all():
        return most
    wide, even = logits.double(), bool((greedy | (temperature == 1)).all())
    kinds = {kind for kind, rows in ((_race, ~by_cdf), (_inverse_cdf, by_cdf)) if rows.any()}
    words, temperature, top_p, greedy, by_cdf = (x.to(wide.device) for x in (words, temperature, top_p, greedy, by_cdf))
    probabilities = (wide if even else wide / torch.where(greedy, 1.0, temperature)[:, None]).softmax(-1)
    if cut:
        probabilities = _nucleus(probabilities, top_p)
    won = [kind(probabilities, words) for kind in (_race, _inverse_cdf) if kind in kinds]
    drawn = won[0] if len(won) == 1 else torch.where(by_cdf, won[1], won[0])
    return drawn if most is None else torch.where(greedy, most, drawn)


def _nucleus(probabilities: Tensor, top_p: Tensor) -> Tensor:
    """Set to zero what lies outside the nucleus; rows need not add up to 1 afterwards."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.where((before < top_p[:, None]) | (top_p >= 1)[:, None], ordered, 0.0)
    return torch.zeros_like(probabilities).scatter_(-1, order, kept)


def _race(probabilities: Tensor, words: Tensor) -> Tensor:
    """Return the token that arrives first in the first group to arrive; never one of weight 0."""
    width = math.isqrt(probabilities.shape[-1] - 1) + 1
    groups = -(-probabilities.shape[-1] // width)
    grouped = pad(probabilities, (0, groups * width - probabilities.shape[-1])).unflatten(-1, (groups, width))
    times = _exponentials(words, groups + width)
    group = (times[:, :groups] / grouped.sum(-1)).argmin(-1)
    within = grouped.gather(1, group[:, None, None].expand(-1, 1, width))[:, 0]
    return group * width + (times[:, groups:] / within).argmin(-1)


def _exponentials(words: Tensor, n: int) -> Tensor:
    """Return `(rows, n)` exponential float64 numbers above 0: each depends on its row's word and its place alone."""
    mixed = words[:, None] + _STEP * torch.arange(1, n + 1, device=words.device)
    for shift, factor in _MIX:
        mixed = (mixed ^ _shifted(mixed, shift)) * factor
    return -((_shifted(mixed, 12).double() + 0.5) * 2.0**-52).log()


def _inverse_cdf(probabilities: Tensor, words: Tensor) -> Tensor:
    """Return the first token whose cumulative weight exceeds the word's share of the whole; never one of weight 0."""
    cumulative = probabilities.cumsum(-1)
    threshold = _unit(words)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, threshold, right=True)[:, 0]


def _unit(words: Tensor) -> Tensor:
    return _shifted(words, 11).double() * 2.0**-53


def _shifted(words: Tensor, places: int) -> Tensor:
    """Shift to the right, and zeros in: torch has signed words only."""
    return (words >> places) & ((1 << 64 - places) - 1)
