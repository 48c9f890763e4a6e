"""Ask a model: to answer questions, and whether answers are right. Each number of loops is run for itself.

Goes in: items and a Tap. Comes out: what the next token would be, and the states behind the last token of each prompt,
kept batch by batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from introspect.analyses.kept_units import Array, Keeping, Kept
from introspect.analyses.monitor.regression import Floats
from introspect.analyses.monitor.tasks import Item
from introspect.injection.answers.answer_tokens import AnswerTokens, Tokens
from introspect.injection.engine.uncached_forward import rows_of, walk
from introspect.models.tap import Tap
from introspect.prompts import encode, render, template_named
from introspect.records.trial import Site

VERIFY, SOLVE = "verify", "solve"
"""Templates of the two questions."""


@dataclass(frozen=True)
class States:
    """States of some rows at some sites in float32, in the units that hold them; in memory at a time is one site."""

    places: Mapping[Site, int]
    parts: Sequence[tuple[Sequence[int], Kept]]
    """Which rows there are in each unit, in which `states` is `(site, row, d_model)`."""

    def at(self, site: Site) -> Floats:
        """Return the states at a site, `(row, d_model)`."""
        found = np.concatenate([kept.part("states", self.places[site]) for _, kept in self.parts])
        order = np.argsort(np.concatenate([rows for rows, _ in self.parts]))
        return np.asarray(found[order], dtype=np.float64)


@dataclass(frozen=True)
class _Judged:
    """What a model that runs so many loops says of given answers, and what its states are there."""

    difference: Floats
    """`(item,)`: logit(yes) - logit(no)."""
    words: Floats
    """`(item,)`: 1 where the most probable token is a yes, 0 where it is a no, NaN where it is neither."""
    states: States


def judge_items(
    tap: Tap, items: Sequence[Item], wanted: Mapping[int, Sequence[Site]], *, size: int, keep: Keeping, task: str = ""
) -> dict[int, _Judged]:
    """Ask of each item whether its answer is right, with each number of loops; `wanted` says the sites of its states.

    `task` is what the items are called while they are run, `size` the rows of a batch.
    """
    answers, found = AnswerTokens(tap.looped.tokenizer), {}
    asked = _batches(item_prompts(tap.looped.tokenizer, VERIFY, items), size)
    keep.begin(f"batches of answers to judge {task}".rstrip(), len(asked) * len(wanted))
    for n_loops, sites in wanted.items():
        difference, words, parts = np.zeros(len(items)), np.zeros(len(items)), []
        for rows, ids in asked:
            measure = partial(_judged, tap, answers, ids, n_loops, sites)
            kept = keep.unit(measure, loops=n_loops, ids=ids, sites=list(map(str, sites)))
            difference[rows], words[rows] = kept["difference"], kept["words"]
            parts.append((rows, kept))
        places = {site: place for place, site in enumerate(sites)}
        found[n_loops] = _Judged(difference, words, States(places, parts))
    return found


def _judged(
    tap: Tap, answers: AnswerTokens, ids: Sequence[Sequence[int]], n_loops: int, sites: Sequence[Site]
) -> dict[str, Array]:
    states = {}

    def put(site: Site, h: Tensor) -> None:
        states[site] = h[:, -1].float().cpu().numpy()

    logits = walk(tap, rows_of(tap.looped, ids), put, n_loops=n_loops, sites=sites).cpu().double()
    yes, no = (logits[:, list(tokens)] for tokens in (answers.yes, answers.no))
    said, words = logits.argmax(-1), torch.full((len(ids),), torch.nan, dtype=torch.float64)
    for value, tokens in ((1.0, answers.yes), (0.0, answers.no)):
        words[torch.isin(said, torch.tensor(tokens))] = value
    empty = np.zeros((0, len(ids), tap.looped.d_model), dtype=np.float32)
    return {
        "difference": (yes.logsumexp(-1) - no.logsumexp(-1)).numpy(),
        "words": words.numpy(),
        "states": np.stack([states[site] for site in sites]) if sites else empty,
    }


@dataclass(frozen=True)
class Solved:
    """Whether a model that runs so many loops answers questions rightly, `(question,)` each, 1 or 0."""

    chosen: Floats
    """The right answer's first token has a higher logit than that of every other item's answer."""
    words: Floats
    """The right answer's first token is the most probable of all; NaN where that token begins no answer at all."""


def solve(
    tap: Tap,
    questions: Sequence[Item],
    others: Sequence[str],
    totals: Sequence[int],
    *,
    size: int,
    keep: Keeping,
    task: str = "",
) -> dict[int, Solved]:
    """Ask questions, of items that hold the right answer, with each number of loops.

    `others` are the answers it is held against. Answers that begin with the same token are taken for the same; NaN
    where no other answer begins differently.
    """
    first, found = AnswerTokens(tap.looped.tokenizer).first, {}
    begun = list(dict.fromkeys(map(first, [*others, *(item.answer for item in questions)])))
    right = [begun.index(first(item.answer)) for item in questions]
    asked = _batches(item_prompts(tap.looped.tokenizer, SOLVE, questions), size)
    keep.begin(f"batches of questions to answer {task}".rstrip(), len(asked) * len(totals))
    for n_loops in totals:
        chosen, words = np.zeros(len(questions)), np.zeros(len(questions))
        for rows, ids in asked:
            measure = partial(_solved, tap, begun, [right[row] for row in rows], ids, n_loops)
            kept = keep.unit(measure, loops=n_loops, ids=ids, begun=begun, right=[right[row] for row in rows])
            chosen[rows], words[rows] = kept["chosen"], kept["words"]
        found[n_loops] = Solved(chosen, words)
    return found


def _solved(
    tap: Tap, begun: Sequence[Tokens], right: Sequence[int], ids: Sequence[Sequence[int]], n_loops: int
) -> dict[str, Array]:
    logits = walk(tap, rows_of(tap.looped, ids), lambda *_: None, n_loops=n_loops, sites=()).cpu().double()
    best = torch.stack([logits[:, list(tokens)].logsumexp(-1) for tokens in begun], dim=-1).argmax(-1)
    said = [[token in tokens for tokens in begun] for token in logits.argmax(-1).tolist()]
    words = [float(begins[place]) if any(begins) else np.nan for begins, place in zip(said, right, strict=True)]
    chosen = (best == torch.tensor(right)).double() if len(begun) > 1 else torch.full((len(ids),), torch.nan)
    return {"chosen": chosen.double().numpy(), "words": np.array(words)}


def item_prompts(tokenizer: PreTrainedTokenizerFast, template: str, items: Sequence[Item]) -> list[tuple[int, ...]]:
    """Return the tokens of the prompt of each item, in the model's chat format."""
    read = template_named(template)
    rendered = (render(read, question=item.question, answer=item.answer) for item in items)
    return [encode(prompt, tokenizer, need_span=False).token_ids for prompt in rendered]


def _batches(tokens: Sequence[tuple[int, ...]], size: int) -> list[tuple[list[int], list[tuple[int, ...]]]]:
    """Return the numbers of the rows of each batch and their tokens, texts of one length side by side."""
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    return [(rows, [tokens[row] for row in rows]) for rows in batches]
