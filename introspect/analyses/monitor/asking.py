"""Ask a model: to answer questions, and whether answers are right. Each number of loops is run for itself.

Goes in: items and a Tap. Comes out: what the next token would be, and the states behind the last token of each prompt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from introspect.analyses.monitor.tasks import Item
from introspect.analyses.walking import rows_of, walk
from introspect.injection.answers import AnswerTokens
from introspect.models.tap import Tap
from introspect.prompts import encode, render, template_named
from introspect.records import Site

Floats = NDArray[np.float64]
VERIFY, SOLVE = "verify", "solve"
"""Templates of the two questions."""


class States:
    """States of some rows at some sites, `(site, row, d_model)` in float32, in a file without a name.

    What is in memory at a time is one site.
    """

    def __init__(self, sites: Sequence[Site], rows: int, d_model: int) -> None:
        self.sites = {site: place for place, site in enumerate(sites)}
        with TemporaryFile() as file:  # the mapping keeps it until it is gone itself
            self._values = np.memmap(file, dtype=np.float32, mode="w+", shape=(len(sites), rows, d_model))

    def put(self, site: Site, rows: Sequence[int], states: Tensor) -> None:
        """Keep the states `(row, d_model)` of these rows."""
        self._values[self.sites[site], list(rows)] = states.float().cpu().numpy()

    def at(self, site: Site) -> Floats:
        """Give the states at a site, `(row, d_model)`."""
        return np.array(self._values[self.sites[site]], dtype=np.float64)


@dataclass(frozen=True)
class Judged:
    """What a model that runs so many loops says of given answers, and what its states are there."""

    difference: Floats
    """`(item,)`: logit(yes) - logit(no)."""
    words: Floats
    """`(item,)`: 1 where the most probable token is a yes, 0 where it is a no, NaN where it is neither."""
    states: States


def judge(tap: Tap, items: Sequence[Item], n_loops: int, sites: Sequence[Site], *, size: int) -> Judged:
    """Ask of each item whether its answer is right, with the states behind the prompt at these sites."""
    states = States(sites, len(items), tap.looped.d_model)
    answers, difference, words = AnswerTokens(tap.looped.tokenizer), np.zeros(len(items)), np.full(len(items), np.nan)
    for rows, ids in _batches(prompts(tap.looped.tokenizer, VERIFY, items), size):
        put = lambda site, h, rows=rows: states.put(site, rows, h[:, -1])  # noqa: E731
        logits = walk(tap, rows_of(tap.looped, ids), put, n_loops=n_loops, sites=sites).cpu().double()
        yes, no = (logits[:, list(tokens)] for tokens in (answers.yes, answers.no))
        difference[rows] = (yes.logsumexp(-1) - no.logsumexp(-1)).numpy()
        said = logits.argmax(-1)
        for value, tokens in ((1.0, answers.yes), (0.0, answers.no)):
            words[np.array(rows)[torch.isin(said, torch.tensor(tokens)).numpy()]] = value
    return Judged(difference, words, states)


@dataclass(frozen=True)
class Solved:
    """Whether a model that runs so many loops answers questions rightly, `(question,)` each, 1 or 0."""

    chosen: Floats
    """The right answer's first token has a higher logit than that of every other item's answer."""
    words: Floats
    """The right answer's first token is the most probable of all."""


def solve(tap: Tap, questions: Sequence[Item], others: Sequence[str], n_loops: int, *, size: int) -> Solved:
    """Ask questions, of items that hold the right answer; `others` are the answers it is held against.

    Answers that begin with the same token are taken for the same. NaN where no other answer begins differently.
    """
    first = AnswerTokens(tap.looped.tokenizer).first
    begun = list(dict.fromkeys(map(first, [*others, *(item.answer for item in questions)])))
    place = {tokens: index for index, tokens in enumerate(begun)}
    chosen, words = np.full(len(questions), np.nan), np.zeros(len(questions))
    for rows, ids in _batches(prompts(tap.looped.tokenizer, SOLVE, questions), size):
        logits = walk(tap, rows_of(tap.looped, ids), lambda *_: None, n_loops=n_loops, sites=()).cpu().double()
        best = torch.stack([logits[:, list(tokens)].logsumexp(-1) for tokens in begun], dim=-1).argmax(-1)
        for row, choice, token in zip(rows, best.tolist(), logits.argmax(-1).tolist(), strict=True):
            right = first(questions[row].answer)
            words[row] = token in right
            chosen[row] = choice == place[right] if len(begun) > 1 else np.nan
    return Solved(chosen, words)


def prompts(tokenizer: PreTrainedTokenizerFast, template: str, items: Sequence[Item]) -> list[tuple[int, ...]]:
    """Give the tokens of the prompt of each item, in the model's chat format."""
    read = template_named(template)
    rendered = (render(read, question=item.question, answer=item.answer) for item in items)
    return [encode(prompt, tokenizer, need_span=False).token_ids for prompt in rendered]


def _batches(tokens: Sequence[tuple[int, ...]], size: int) -> Iterator[tuple[list[int], list[tuple[int, ...]]]]:
    """Give the numbers of the rows of each batch and their tokens, texts of one length side by side."""
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield rows, [tokens[row] for row in rows]
