"""How probable answers are to the same model when nothing is injected: fluency as the model itself sees it.

    clean_logprob = mean over the drawn tokens t of log p(t | prompt, tokens before t), no vector added, in nats

Goes in: a prompt that was run with nothing injected, and answers to it. Comes out: one number for each. Answers are run
side by side from the kept states of the prompt, those of about one length together, equal answers once.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from introspect.injection.prefix.prefix import Prefix, inputs
from introspect.models.tap import Tap

Answer = tuple[int, ...]

WASTE = 0.8
"""Rows are run together when the shortest is at least this share of the longest; the rest is padding."""
_LOGITS = 1 << 25
"""Most logits held at once: 128 MB in float32."""


def clean_logprobs(tap: Tap, prefix: Prefix, answers: Sequence[Answer], rows: int) -> dict[Answer, float | None]:
    """Return the mean log-probability per token of each answer, in nats, at most `rows` run side by side.

    It is None where it is not finite.
    """
    found: dict[Answer, float | None] = {}
    for chunk in _chunks(answers, rows, prefix.logits.shape[-1]):
        sums = _sums(tap, prefix, chunk)
        found |= {answer: mean_of(total, answer) for answer, total in zip(chunk, sums, strict=True)}
    return found


def mean_of(total: float, answer: Sequence[int]) -> float | None:
    """Return a sum of log-probabilities per token; None where it is not finite."""
    return total / len(answer) if math.isfinite(total) else None


def least_for_answers(answers: Sequence[Answer], n_sites: int) -> int:
    """Return the token-block forwards that this takes without any padding: all tokens but the last of each answer."""
    return sum(len(answer) - 1 for answer in set(answers)) * n_sites


def logprob_of(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return log p of one token per distribution: `(..., vocabulary)` and `(...)` give `(...)`, in float32 at least."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    chosen = logits.gather(-1, tokens[..., None])[..., 0]
    return chosen - logits.logsumexp(-1)


def _chunks(answers: Sequence[Answer], rows: int, vocabulary: int) -> Iterator[list[Answer]]:
    """Cut distinct answers, the longest first, into those that are run together."""
    chunk: list[Answer] = []
    for answer in sorted(set(answers), key=lambda answer: (-len(answer), answer)):
        if chunk:
            full = len(chunk) == rows or (len(chunk) + 1) * len(chunk[0]) * vocabulary > _LOGITS
            if full or len(answer) - 1 < WASTE * (len(chunk[0]) - 1):
                yield chunk
                chunk = []
        chunk.append(answer)
    if chunk:
        yield chunk


def _sums(tap: Tap, prefix: Prefix, chunk: Sequence[Answer]) -> list[float]:
    """Return the summed log-probability of each answer; the first token is judged by the prompt alone."""
    device = prefix.logits.device
    longest = len(chunk[0])
    padded = torch.tensor([[*answer, *answer[-1:] * (longest - len(answer))] for answer in chunk], device=device)
    real = torch.tensor([[place < len(answer) for place in range(longest)] for answer in chunk], device=device)
    log_p = logprob_of(prefix.logits.expand(len(chunk), -1), padded[:, 0])[:, None]
    if longest > 1:
        log_p = torch.cat((log_p, logprob_of(_logits(tap, prefix, padded[:, :-1]), padded[:, 1:])), dim=1)
    sums: list[float] = log_p.where(real, 0.0).double().sum(-1).tolist()
    return sums


def _logits(tap: Tap, prefix: Prefix, tokens: Tensor) -> Tensor:
    """Run tokens `(row, position)` after the prompt and return the logits `(row, position, vocabulary)`."""
    rows, new = tokens.shape
    cache = prefix.cache(rows, new)
    cache.aim(0, [0] * rows, prefix.length)
    cache.begin_like(prefix.clean, len(prefix.clean.own[0]), prefix.length)
    cache.aim(0, [prefix.length] * rows, new)
    positions = [len(prefix.encoded.token_ids)] * rows
    arguments = inputs(tap, tokens.tolist(), positions, cache) | {"logits_to_keep": 0} | prefix.exit_arguments
    logits: Tensor = tap.run({}, n_loops=prefix.n_loops, **arguments).logits
    return logits
