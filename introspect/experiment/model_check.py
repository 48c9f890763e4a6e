"""Whether a checkpoint is what a sweep needs, checked on the machine that will run it, and without a download.

Goes in: a loaded model, whose names, shapes and buffers `load_model` has verified. Comes out: one Finding a question,
which `introspect models NAME --check` prints.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from huggingface_hub import constants
from torch import Tensor

from introspect.models.looped_model import LoopedModel
from introspect.prompts.dates import date_in, write_chat

_TEXTS = (
    "The ferry leaves at noon, and the children on the pier wave until it is out of sight.",
    "A letter came from the town on the other side of the hill.",
)
"""Two texts of no particular content and of different length."""
_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}
"""Largest difference of two logits, over the largest logit; 16-bit formats have 0.05."""
USER, _ANSWER = {"role": "user", "content": "Do you see it?"}, "Yes, it is there"


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    what: str
    """What was looked at."""
    good: bool
    said: str
    """What was found, with its number."""


@contextmanager
def offline() -> Iterator[None]:
    """Read hub ids from the local cache only, whatever the environment says, and put the setting back."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def check_model(looped: LoopedModel) -> list[Finding]:
    """Return what was found of a loaded model's weights, tokenizer, chat format, batches and cache, in this order."""
    return [_weights(looped), _tokens(looped), _turn(looped), _date(looped), _batches(looped), _cache(looped)]


def _weights(looped: LoopedModel) -> Finding:
    held, buffers = len(looped.model.state_dict()), len(list(looped.model.buffers()))
    return Finding("weights", True, f"{held} tensors, names and shapes as the config says, finite; {buffers} buffers")


def _tokens(looped: LoopedModel) -> Finding:
    rows, largest = len(looped.model.get_input_embeddings().weight), max(looped.tokenizer.get_vocab().values())
    return Finding("token ids", largest < rows, f"the largest is {largest}; the embedding has {rows} rows")


def _turn(looped: LoopedModel) -> Finding:
    """See that what stands behind an answer in a chat holds a token that ends the drawing of one."""
    ends = looped.end_of_turn
    closed = write_chat(
        looped.tokenizer, [USER, {"role": "assistant", "content": _ANSWER}], add_generation_prompt=False
    )
    behind = looped.tokenizer(closed.rpartition(_ANSWER)[2], add_special_tokens=False)["input_ids"]
    named = ", ".join(repr(looped.tokenizer.convert_ids_to_tokens(token)) for token in ends) or "none"
    if looped.chat_format == "plain":
        return Finding("end of a turn", bool(ends), f"a plain dialogue; tokens that end an answer: {named}")
    good = any(token in ends for token in behind)
    said = f"tokens that end an answer: {named}"
    return Finding("end of a turn", good, said if good else f"{said}; the chat format closes a turn with none of them")


def _date(looped: LoopedModel) -> Finding:
    day = date_in(looped.tokenizer, [USER], add_generation_prompt=True)
    said = "writes no date" if day is None else "writes the day: give --date, so that a prompt is the same tomorrow"
    return Finding("chat template", day is None, said)


@torch.no_grad()
def _batches(looped: LoopedModel) -> Finding:
    """Compare the longer text alone with the same text in a batch, and the shorter one padded on the left."""
    long, short = (_ids(looped, text) for text in _TEXTS)
    width, arguments = long.shape[1], looped.forward_arguments(looped.n_loops)
    padding = torch.full((1, width - short.shape[1]), looped.pad_id, device=looped.device)
    ids = torch.cat([long, torch.cat([padding, short], 1)])
    mask = torch.ones_like(ids)
    mask[1, : padding.shape[1]] = 0
    together = looped.model(ids, attention_mask=mask, use_cache=False, **arguments).logits
    alone = [looped.model(each, use_cache=False, **arguments).logits[0] for each in (long, short)]
    apart = max(_apart(together[0], alone[0]), _apart(together[1, padding.shape[1] :], alone[1]))
    return _agree("batches of 1 and 2", looped, apart)


@torch.no_grad()
def _cache(looped: LoopedModel) -> Finding:
    """Compare a text run at once, without a cache, with the same text in pieces on one."""
    ids, arguments, cache = _ids(looped, _TEXTS[0]), looped.forward_arguments(looped.n_loops), looped.new_cache()
    whole = looped.model(ids, use_cache=False, **arguments).logits
    pieces = [
        looped.model(part, past_key_values=cache, use_cache=True, **arguments).logits
        for part in (ids[:, :-2], ids[:, -2:-1], ids[:, -1:])
    ]
    return _agree("with and without a cache", looped, _apart(torch.cat(pieces, 1), whole))


def _ids(looped: LoopedModel, text: str) -> Tensor:
    ids = looped.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    return torch.as_tensor(ids, device=looped.device)


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


def _agree(what: str, looped: LoopedModel, apart: float) -> Finding:
    allowed = _TOLERANCE.get(looped.dtype, 0.05)
    said = f"logits differ by {apart:.1e} of the largest, {allowed:g} allowed"
    return Finding(what, apart <= allowed, said)  # not a number is no agreement
