"""Lenses: what the head, or coda and head, would say of the state behind any block, and when a concept is readable.

Goes in: states of the last token (for the coda, of all tokens). Come out: rank and probability of yes, no and concept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from introspect.injection.answers.answer_tokens import AnswerTokens, Tokens
from introspect.models.looped_model import LoopedModel
from introspect.records.trial import Site

WORDS = ("yes", "no", "concept")
WITHIN = 10
"""A concept is readable where fewer tokens than these are more probable than its first one."""

Ranks = NDArray[np.float64]


def lenses_of(looped: LoopedModel) -> tuple[str, ...]:
    """Name the lenses that a model has."""
    return ("logit", "coda") if looped.coda else ("logit",)


def logit_lens(looped: LoopedModel, states: Tensor) -> Tensor:
    """Return the logits `(row, vocabulary)` of states `(row, d_model)`: final norm and head, whatever their block."""
    return looped.lens(states[:, None])[:, -1]


def coda_lens(looped: LoopedModel, states: Tensor) -> Tensor:
    """Return the logits `(row, vocabulary)` at the last of all tokens' states `(row, position, d_model)`, by the coda.

    The last forward must have been over these tokens: the coda of some families reads them again.
    """
    return looped.readout(states, logits_to_keep=1)[:, -1]


def spoken(logits: Tensor, answers: AnswerTokens, concepts: Sequence[str]) -> Tensor:
    """Give, by row and word of WORDS, rank and probability, `(row, 3, 2)` in float64 on the CPU.

    The rank counts the tokens that are more probable than the likeliest spelling; the probability is that of all
    spellings together.
    """
    log_p = logits.float().cpu().double().log_softmax(-1)
    spelled = [[answers.yes, answers.no, answers.first(concept)] for concept in concepts]
    width = max(len(tokens) for row in spelled for tokens in row)
    index = torch.tensor([[_filled(tokens, width) for tokens in row] for row in spelled])
    own = torch.tensor([[[place < len(tokens) for place in range(width)] for tokens in row] for row in spelled])
    found = log_p.gather(-1, index.flatten(1)).view(index.shape)
    rank = (log_p[:, None] > found.amax(-1, keepdim=True)).sum(-1)
    return torch.stack([rank.double(), found.exp().where(own, 0).sum(-1)], dim=-1)


@dataclass(frozen=True)
class Readable:
    """Where a concept can be read in a trial and not in its control."""

    there: NDArray[np.bool_]
    """`(trial, site)`."""
    first: NDArray[np.int64]
    """The first such site of each trial, by its number; -1 where there is none."""
    lost: NDArray[np.int64]
    """The site behind the last one; -1 where it is never readable, and the number of sites where it stays so."""


def readable(ranks: Ranks, control: Ranks) -> Readable:
    """Find where the rank is within WITHIN in the trial and not in its control, `(trial, site)`; NaN is no rank."""
    there = (ranks < WITHIN) & (control >= WITHIN)
    ever, count = there.any(-1), there.shape[1]
    first = np.where(ever, there.argmax(-1), -1)
    lost = np.where(ever, count - there[:, ::-1].argmax(-1), -1)
    return Readable(there, first, lost)


def has_lens(lens: str, site: Site) -> bool:
    """Say whether a lens reads a state there: the coda is not put behind its own blocks."""
    return lens == "logit" or site.stage != "coda"


def _filled(tokens: Tokens, width: int) -> list[int]:
    return [*tokens, *tokens[:1] * (width - len(tokens))]
