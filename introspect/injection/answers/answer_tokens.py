"""What a next-token distribution says: yes or no, one of the options, the concept; whatever the spelling.

Goes in: logits. Comes out: a Readout a row, computed in float64.
"""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.records.response import Readout
from introspect.records.trial import Trial

Tokens = tuple[int, ...]


class AnswerTokens:
    """The tokens with which answers begin, in a tokenizer's vocabulary."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        """Find yes and no; raise InputError when the tokenizer has no single token for one of them."""
        self._tokenizer = tokenizer
        self._first: dict[str, Tokens] = {}
        self._spellings: dict[str, tuple[Tokens, ...]] = {}
        self.yes, self.no = self._whole("yes"), self._whole("no")

    def first(self, word: str) -> Tokens:
        """Return first tokens of a word, as it stands and with a capital, at the beginning of an answer or within."""
        if word not in self._first:
            spelled = [lead + form for form in dict.fromkeys((word, word.capitalize())) for lead in ("", " ")]
            ids = [self._tokenizer(text, add_special_tokens=False)["input_ids"][0] for text in spelled]
            plain = [token for token in ids if str(self._tokenizer.decode([token])).strip()]
            self._first[word] = tuple(dict.fromkeys(plain or ids))
        return self._first[word]

    def collide(self, options: Sequence[str]) -> bool:
        """Say whether two of the options begin with a token in common, so that first tokens cannot tell them apart."""
        begun = [token for option in dict.fromkeys(options) for token in self.first(option)]
        return len(begun) > len(set(begun))

    def spellings(self, word: str) -> tuple[Tokens, ...]:
        """Return all tokens of each way to write a word that begins with one of its first tokens."""
        if word not in self._spellings:
            written = [lead + form for form in (word, word[:1].upper() + word[1:]) for lead in ("", " ")]
            ids = [tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"]) for text in written]
            begun = [each for each in ids if each[0] in self.first(word)]
            self._spellings[word] = tuple(dict.fromkeys(begun or ids))
        return self._spellings[word]

    def _whole(self, word: str) -> Tokens:
        """Return the single tokens that spell a word, in any case and with any white space around."""
        tokens = tuple(token for token, text in enumerate(self._spelled) if text == word)
        if not tokens:
            name = self._tokenizer.name_or_path or type(self._tokenizer).__name__
            raise InputError(f"tokenizer {name!r} has no single token for {word!r}, so yes and no cannot be read out")
        return tokens

    @cached_property
    def _spelled(self) -> list[str]:
        texts = self._tokenizer.batch_decode([[token] for token in range(len(self._tokenizer))])
        return [text.strip().casefold() for text in texts]


def in_float64(logits: Tensor) -> Tensor:
    """Return logits in float64, on the CPU where their device has no such format."""
    return (logits.cpu() if logits.device.type == "mps" else logits).double()


def read(logits: Tensor, answers: AnswerTokens, loop: int, trials: Sequence[Trial]) -> list[Readout]:
    """Read `(rows, vocabulary)` logits, taken after one loop, row by row."""
    logits = in_float64(logits)
    log_p = logits.log_softmax(-1)
    said_yes, said_no = (logits[:, list(tokens)].logsumexp(-1) for tokens in (answers.yes, answers.no))
    together = log_p[:, [*answers.yes, *answers.no]].exp().sum(-1)
    spread = torch.special.entr(log_p.exp()).sum(-1)
    numbers = torch.stack([said_yes, said_no, together, spread], dim=-1).tolist()
    options = [
        tuple(_log_p(row, answers.first(option)) for option in trial.options)
        for row, trial in zip(log_p, trials, strict=True)
    ]
    ranks = _ranks(logits, [answers.first(trial.concept) for trial in trials])
    rows = zip(numbers, options, ranks, strict=True)
    return [Readout(loop, yes, no, mass, entropy, said, rank) for (yes, no, mass, entropy), said, rank in rows]


def _log_p(log_p: Tensor, tokens: Tokens) -> float:
    return log_p[list(tokens)].logsumexp(-1).item()


def _ranks(logits: Tensor, concepts: Sequence[Tokens]) -> list[int]:
    """Count the tokens that are more probable than the concept's most probable one."""
    widest = max(map(len, concepts))
    index = torch.tensor([tokens + tokens[:1] * (widest - len(tokens)) for tokens in concepts], device=logits.device)
    best = logits.gather(-1, index).amax(-1, keepdim=True)
    ranks: list[int] = (logits > best).sum(-1).tolist()
    return ranks
