"""How much a next-token distribution says yes or no, whatever the spelling.

Goes in: logits. Comes out: a Readout a row, computed in float64.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.records import Readout


@dataclass(frozen=True)
class AnswerTokens:
    """The single tokens that spell an answer, in any case and with any white space around."""

    yes: tuple[int, ...]
    no: tuple[int, ...]


def answer_tokens(tokenizer: PreTrainedTokenizerFast) -> AnswerTokens:
    """Find the spellings of yes and no; raise InputError when the tokenizer has no single token for one of them."""
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    spelled = [text.strip().casefold() for text in texts]
    found = {word: tuple(i for i, text in enumerate(spelled) if text == word) for word in ("yes", "no")}
    for word, tokens in found.items():
        if not tokens:
            name = tokenizer.name_or_path or type(tokenizer).__name__
            raise InputError(f"tokenizer {name!r} has no single token for {word!r}, so yes and no cannot be read out")
    return AnswerTokens(**found)


def read(logits: Tensor, answers: AnswerTokens, loop: int) -> list[Readout]:
    """Read `(rows, vocabulary)` logits, taken after one loop, row by row."""
    logits = (logits.cpu() if logits.device.type == "mps" else logits).double()
    log_p = logits.log_softmax(-1)
    yes, no = (logits[:, list(tokens)].logsumexp(-1) for tokens in (answers.yes, answers.no))
    mass = log_p[:, [*answers.yes, *answers.no]].exp().sum(-1)
    entropy = torch.special.entr(log_p.exp()).sum(-1)
    numbers = torch.stack([yes, no, mass, entropy], dim=-1).tolist()
    return [Readout(loop, *row) for row in numbers]
