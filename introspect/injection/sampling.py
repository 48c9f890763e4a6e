"""Draws that belong to a trial: one uniform number a (seed, step), turned into a token by the inverse CDF.

Goes in: logits and the numbers. Comes out: tokens. Nothing depends on the batch, the device or torch's generators, and
tokens are laid out in the order of the vocabulary, so that trials of one seed share their noise.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def uniforms(seeds: Sequence[int], steps: int) -> Tensor:
    """Return `(len(seeds), steps)` float64 numbers in [0, 1): row and column depend on that seed and step alone.

    The raw words of numpy's Philox are used, whose stream is fixed for all versions of numpy.
    """
    words = np.stack([np.random.Philox(key=seed).random_raw(steps) for seed in seeds])
    return torch.from_numpy((words >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def draw(logits: Tensor, uniform: Tensor, temperature: Tensor, top_p: Tensor) -> Tensor:
    """Draw one token a row; logits are `(rows, vocabulary)`, all else is `(rows,)` in float64 and on the CPU.

    Temperature 0 takes the most probable token, the first of equals. `top_p` keeps the fewest of the most probable
    tokens whose probabilities add up to it. What no row needs is left out, as the host can tell without asking the
    device that holds the logits.
    """
    logits = logits.cpu() if logits.device.type == "mps" else logits  # which has no float64
    greedy, cut = temperature == 0, bool((top_p < 1).any())
    some, every = bool(greedy.any()), bool(greedy.all())
    most = logits.argmax(-1) if some else None
    if most is not None and every:
        return most
    wide, even = logits.double(), bool((greedy | (temperature == 1)).all())
    uniform, temperature, top_p, greedy = (x.to(wide.device) for x in (uniform, temperature, top_p, greedy))
    probabilities = (wide if even else wide / torch.where(greedy, 1.0, temperature)[:, None]).softmax(-1)
    if cut:
        probabilities = _nucleus(probabilities, top_p)
    drawn = _inverse_cdf(probabilities, uniform)
    return drawn if most is None else torch.where(greedy, most.to(drawn.device), drawn)


def _nucleus(probabilities: Tensor, top_p: Tensor) -> Tensor:
    """Set to zero what lies outside the nucleus; rows need not add up to 1 afterwards."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.where((before < top_p[:, None]) | (top_p >= 1)[:, None], ordered, 0.0)
    return torch.zeros_like(probabilities).scatter_(-1, order, kept)


def _inverse_cdf(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Return the first token whose cumulative weight lies above `uniform` times the whole; never one of weight 0."""
    cumulative = probabilities.cumsum(-1)
    threshold = uniform[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, threshold, right=True)[:, 0]
