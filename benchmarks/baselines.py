"""What others do: batches of one cell with plain forward hooks and a full prefill, and plain generation without any.

Goes in: a bare model, a prompt, trials with one site each, their vectors. Come out: token ids. Written apart from the
engine; only the keyed draws are shared, so that the same trials give the same tokens.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from benchmarks.setting import injection_of
from introspect.concepts.vectors import ConceptVectors
from introspect.injection.answers.sampling import draw, random_words
from introspect.prompts import Encoded
from introspect.records.trial import Trial

Tokens = tuple[int, ...]
Place = tuple[nn.Module, int]
"""A block, and which of its calls within one forward."""


def cells(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Sort trials into those that differ only in concept and repeat."""
    found: dict[object, list[Trial]] = {}
    for trial in trials:
        injection = injection_of(trial)
        found.setdefault((injection.sites, injection.strength, trial.arm), []).append(trial)
    return list(found.values())


@torch.inference_mode()
def run_cell(
    model: Any,
    encoded: Encoded,
    vectors: ConceptVectors,
    trials: Sequence[Trial],
    end_of_turn: Sequence[int] = (),
    place: Place | None = None,
    **arguments: Any,
) -> list[Tokens]:
    """Run trials of one cell side by side, prompt and all; rows are kept until every one of them is finished.

    `place` is the block of their site and which of its calls it is, as in the Ouro layout when left out; `arguments`
    are those of every forward.
    """
    site, settings = injection_of(trials[0]).sites[0], trials[0].sampling
    added = torch.stack([injection_of(trial).strength * vectors.at(trial.concept, site) for trial in trials])
    words = random_words([trial.seed for trial in trials], settings.max_new_tokens)
    temperature, top_p = (
        torch.full((len(trials),), value, dtype=torch.float64) for value in (settings.temperature, settings.top_p)
    )
    by_cdf = torch.full((len(trials),), settings.draws == "inverse-cdf")
    cache, written = DynamicCache(), []
    ids = torch.tensor([encoded.token_ids] * len(trials), device=model.device)
    finished = torch.zeros(len(trials), dtype=torch.bool, device=model.device)
    block, call = (model.model.layers[site.layer], site.loop) if place is None else place
    with hooked(block, call, added.to(model.device, model.dtype), encoded) as hook:
        for step in range(settings.max_new_tokens):
            hook.restart(prompt=step == 0)
            more = {"past_key_values": cache, "use_cache": True, "logits_to_keep": 1, **arguments}
            logits = model(input_ids=ids, **more).logits[:, -1]
            drawn = draw(logits, words[:, step], temperature, top_p, by_cdf).to(model.device)
            written.append(drawn)
            finished |= torch.isin(drawn, torch.tensor(end_of_turn, device=model.device, dtype=drawn.dtype))
            if finished.all():
                break
            ids = drawn[:, None]
    return [_until(tokens, end_of_turn) for tokens in torch.stack(written, dim=1).tolist()]


@torch.inference_mode()
def generate(model: Any, encoded: Encoded, rows: int, new_tokens: int) -> list[Tokens]:
    """Let transformers continue the prompt greedily in so many rows, with nothing added."""
    ids = torch.tensor([encoded.token_ids] * rows, device=model.device)
    written = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        min_new_tokens=new_tokens,
        max_new_tokens=new_tokens,
    )
    return [tuple(row) for row in written[:, ids.shape[1] :].tolist()]


class Hook:
    """Adds to one block's output in one of its calls; `restart` before every forward."""

    def __init__(self, loop: int, added: Tensor, span: tuple[int, int | None]) -> None:
        self.loop, self.added, self.span = loop, added[:, None], span
        self.restart(prompt=True)

    def restart(self, *, prompt: bool) -> None:
        """Count calls anew, in a forward over the prompt or over one token of the answer."""
        self.calls, self.prompt = 0, prompt

    def __call__(self, block: nn.Module, arguments: object, output: Tensor) -> None:  # noqa: ARG002 (torch's face)
        """Add, if this is the call."""
        if self.calls == self.loop:
            if self.prompt:
                output[:, slice(*self.span)] += self.added
            elif self.span[1] is None:
                output += self.added
        self.calls += 1


@contextmanager
def hooked(block: nn.Module, call: int, added: Tensor, encoded: Encoded) -> Iterator[Hook]:
    """Hang a hook on the site's block and take it off on the way out."""
    hook = Hook(call, added, (encoded.span_start, encoded.span_stop))
    handle = block.register_forward_hook(hook)
    try:
        yield hook
    finally:
        handle.remove()


def _until(tokens: list[int], end_of_turn: Sequence[int]) -> Tokens:
    ends = [index for index, token in enumerate(tokens) if token in end_of_turn]
    return tuple(tokens[: ends[0] + 1] if ends else tokens)
