"""Batches for training: padded rows with a weight for each token that is to be predicted, and the loss over all loops.

Goes in: rows of (token ids, number of tokens that are given). Comes out: a loss.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from introspect.families.parts.looped_lm import LoopedCausalLM

LOOP_WEIGHTS = (0.1, 0.15, 0.25, 1.0)
"""Weight of the language-model loss after each loop, so that reading an answer out early means something."""
KEY_WEIGHT = 4.0
"""Weight of the tokens on which the answer turns: its first, and the concept's name."""


@dataclass(frozen=True)
class Rows:
    """Rows of equal length, padded on the right."""

    ids: Tensor
    """`(row, token)`."""
    weights: Tensor
    """`(row, token)`: how much the prediction of this token counts; 0 for what is given and for padding."""


def chat(question: str) -> str:
    """Write one question in ChatML, up to where the answer begins."""
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


def rows(tokenizer: PreTrainedTokenizerFast, given: list[list[int]], answers: list[list[int]]) -> Rows:
    """Put answers behind what is given, and pad."""
    length = max(len(g) + len(a) for g, a in zip(given, answers, strict=True))
    ids = torch.full((len(given), length), tokenizer.pad_token_id)
    weights = torch.zeros(len(given), length)
    for row, (g, a) in enumerate(zip(given, answers, strict=True)):
        ids[row, : len(g) + len(a)] = torch.tensor(g + a)
        weights[row, len(g) : len(g) + len(a)] = 1.0
        weights[row, len(g)] = KEY_WEIGHT
    return Rows(ids, weights)


def loss(model: LoopedCausalLM, states: tuple[Tensor, ...], batch: Rows, first_loop: Tensor | None = None) -> Tensor:
    """Average the cross-entropy over the answers' tokens, weighted over the loops.

    `states` are those of all loops, or of the last alone. `first_loop`, `(row,)`: a row counts only in loops from here
    on, since before its injection nothing can be known.
    """
    row, column = batch.weights.nonzero(as_tuple=True)
    target, weight = batch.ids[row, column], batch.weights[row, column]
    total, weights = torch.zeros(()), LOOP_WEIGHTS[-len(states) :]
    for loop, (state, loop_weight) in enumerate(zip(states, weights, strict=True), len(LOOP_WEIGHTS) - len(states)):
        known = weight if first_loop is None else weight * (first_loop[row] <= loop)
        losses = torch.nn.functional.cross_entropy(model.lm_head(state[row, column - 1]), target, reduction="none")
        total = total + loop_weight * (losses * known).sum() / weight.sum()
    return total / sum(weights)
