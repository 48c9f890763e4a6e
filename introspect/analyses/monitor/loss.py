"""What looping costs a model as a model of language: the loss on texts, with each number of loops run.

Goes in: texts of the user's, or the contrastive prompts. Comes out: nats a token with intervals over texts, and what
each number of loops costs beside the fewest, on the same texts.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from introspect.analyses.kept_units import Array, Keeping
from introspect.analyses.monitor.regression import Floats
from introspect.analyses.subject import Subject
from introspect.analyses.texts import read_texts, texts_of
from introspect.errors import InputError
from introspect.injection.engine.uncached_forward import Rows, rows_of
from introspect.models.tap import Tap
from introspect.results.statistics.clusters import Estimate, expanded

MOST_TOKENS = 256
"""Longer texts are cut into pieces of so many, each read for itself; the pieces of a text count as one text."""
_MOST_BYTES = 2**28
"""Of the logits of one batch, in float32."""
_RESAMPLES = 2000

_Piece = tuple[int, tuple[int, ...]]
"""The number of a text, and tokens of it."""


def pieces_of(subject: Subject, texts: Path | None) -> list[_Piece]:
    """Read the texts, or write the contrastive prompts down, in the model's tokens. InputError where none can be used.

    Texts begin as the tokenizer begins them; what is read of a prompt is all of it, the chat format included. A piece
    of one token foretells nothing and is left out.
    """
    tokenizer, own = subject.tap.looped.tokenizer, texts is not None
    read = texts_of(subject) if texts is None else read_texts(texts)
    tokens = [tokenizer.encode(text, add_special_tokens=own) for text in read]
    cut = [(n, tuple(t[i : i + MOST_TOKENS])) for n, t in enumerate(tokens) for i in range(0, len(t), MOST_TOKENS)]
    found = [piece for piece in cut if len(piece[1]) > 1]
    if not found:
        raise InputError(f"texts: {texts}: no text of two tokens or more")
    return found


def piece_batches(subject: Subject, pieces: Sequence[_Piece], size: int) -> list[list[_Piece]]:
    """Put pieces of one length side by side, so that nothing is filled up, at most `size` and as their logits fit."""
    row = subject.tap.looped.model.config.vocab_size * 4
    groups: dict[int, list[_Piece]] = {}
    for piece in pieces:
        groups.setdefault(len(piece[1]), []).append(piece)
    found = []
    for length, group in sorted(groups.items()):
        most = max(1, min(size, _MOST_BYTES // (row * length)))
        found += [group[start : start + most] for start in range(0, len(group), most)]
    return found


def loss(
    subject: Subject, pieces: Sequence[_Piece], totals: Sequence[int], *, size: int, seed: int, keep: Keeping
) -> pd.DataFrame:
    """Measure the mean negative log-likelihood of a token, with each number of loops.

    A row a number of loops: `nats` with a bootstrap interval over `texts`, `tokens` foretold, and `more`, the nats
    above those of the fewest loops on the same texts, with its interval. With one text there is no interval.
    """
    split = piece_batches(subject, pieces, size)
    keep.begin("batches of texts to foretell", len(split) * len(totals))
    sums = {total: np.zeros(1 + max(text for text, _ in pieces)) for total in totals}
    counts = np.zeros_like(sums[totals[0]])
    for total in totals:
        for batch in split:
            ids = [tokens for _, tokens in batch]
            nats = keep.unit(partial(told, subject.tap, ids, total), loops=total, ids=ids)["nats"]
            np.add.at(sums[total], [text for text, _ in batch], nats)
    np.add.at(counts, [text for text, _ in pieces], [len(tokens) - 1 for _, tokens in pieces])
    there = counts > 0
    return table_of({total: each[there] for total, each in sums.items()}, counts[there], seed=seed)


@torch.inference_mode()
def told(tap: Tap, ids: Sequence[Sequence[int]], n_loops: int) -> dict[str, Array]:
    """Return the summed negative log-likelihood of each row's tokens behind the first, `(row,)` in float64."""
    rows = rows_of(tap.looped, ids)
    logits = tap.run({}, n_loops=n_loops, input_ids=rows.ids, use_cache=False, **_arguments(tap, rows)).logits
    return {"nats": _summed(logits, rows.ids).cpu().numpy()}


def _arguments(tap: Tap, rows: Rows) -> dict[str, Any]:
    """Say that nothing is a prompt, to models that would read a prompt's tokens ahead."""
    return {"attention_mask": rows.mask, **tap.looped.prompt_arguments(torch.zeros_like(rows.mask))}


def _summed(logits: Tensor, ids: Tensor) -> Tensor:
    exact = torch.promote_types(logits.dtype, torch.float32)
    rows = zip(logits, ids, strict=True)  # one at a time: a copy of all logits is large
    return torch.stack([cross_entropy(row[:-1].to(exact), of[1:], reduction="none").double().sum() for row, of in rows])


def table_of(sums: Mapping[int, Floats], counts: Floats, *, seed: int) -> pd.DataFrame:
    """Make the table from summed nats and counted tokens, `(text,)`, by the number of loops run."""
    n, fewest = len(counts), min(sums)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES).astype(np.float64)
    rows = []
    for total, nats in sums.items():
        own, more = (_estimate(each, counts, weights) for each in (nats, nats - sums[fewest]))
        values = {"nats": own.value, "low": own.low, "high": own.high}
        values |= {"more": more.value, "more_low": more.low, "more_high": more.high}
        rows.append({"loops": total, **values, "texts": n, "tokens": int(counts.sum()), "beside": fewest})
    return pd.DataFrame(rows)


def _estimate(sums: Floats, counts: Floats, weights: Floats) -> Estimate:
    """Estimate the sum over texts a token, with an interval from texts drawn with replacement."""
    value, n = float(sums.sum() / counts.sum()), len(counts)
    if n < 2:
        return Estimate(value, np.nan, np.nan, n)
    level, drawn = expanded(0.95, n), (weights @ sums) / (weights @ counts)
    low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(value, float(low), float(high), n)
