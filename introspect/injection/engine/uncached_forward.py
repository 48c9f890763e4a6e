"""Walk a model's states, site by site, as one forward goes through them; what is kept is up to the visitor.

Goes in: rows of tokens, or trials that share a prompt. Nothing comes out but what `look` was shown: each state as it
is there, so that memory grows with the rows and with what is kept, never with the texts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from introspect.errors import InputError
from introspect.injection.engine.engine import Engine, key_of, prompt_key
from introspect.injection.step.resume import Start
from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Tap, Visit
from introspect.records.trial import Site, Trial

Look = Callable[[Site, Tensor], None]
"""Shown a site and the live state behind its block, `(row, position, d_model)`, in running order; it copies what it
keeps and changes nothing. As with a `Visit`, a site may be shown again as the text grows: the last time counts."""


UNCACHED: dict[str, Any] = {"use_cache": False, "logits_to_keep": 1}
"""Arguments of a forward that is run for its states."""


@dataclass(frozen=True)
class Rows:
    """The tokens of one forward, filled up on the left."""

    ids: Tensor
    """`(row, position)`."""
    mask: Tensor
    """`(row, position)`, 1 where there is a token."""

    @property
    def named(self) -> dict[str, Any]:
        """Say what they are, as plain JSON."""
        return {"ids": self.ids.tolist(), "mask": self.mask.tolist()}


def rows_of(looped: LoopedModel, tokens: Sequence[Sequence[int]]) -> Rows:
    """Put texts of different lengths side by side."""
    length = max(map(len, tokens))
    ids = [[looped.pad_id] * (length - len(text)) + list(text) for text in tokens]
    mask = [[0] * (length - len(text)) + [1] * len(text) for text in tokens]
    return Rows(torch.tensor(ids, device=looped.device), torch.tensor(mask, device=looped.device))


def batches(looped: LoopedModel, texts: Sequence[str], *, size: int, most_tokens: int) -> Iterator[Rows]:
    """Tokenize texts, each cut after `most_tokens`, and give them in batches. InputError for a text of one token."""
    tokens = [looped.tokenizer.encode(text, add_special_tokens=False)[:most_tokens] for text in texts]
    for text, found in zip(texts, tokens, strict=True):
        if len(found) < 2:
            raise InputError(f"text {text!r}: {len(found)} tokens; a text needs at least 2")
    for start in range(0, len(tokens), size):
        yield rows_of(looped, tokens[start : start + size])


@torch.inference_mode()
def walk(tap: Tap, rows: Rows, look: Look, *, n_loops: int, sites: Sequence[Site] | None = None) -> Tensor:
    """Run one uncached forward over rows, showing the states at these sites (default: all).

    Gives the logits behind each row's last token, `(row, vocabulary)`.
    """
    prompt = tap.looped.prompt_arguments(rows.mask)
    visits = {site: partial(look, site) for site in (tap.looped.sites(n_loops) if sites is None else sites)}
    inputs = {"input_ids": rows.ids, "attention_mask": rows.mask, **UNCACHED, **prompt}
    logits: Tensor = tap.run(visits, n_loops=n_loops, **inputs).logits[:, -1]
    return logits


@torch.inference_mode()
def walk_trials(
    engine: Engine, trials: Sequence[Trial], look: Look, *, sites: Sequence[Site] | None = None, **more: Any
) -> Tensor:
    """Run the prompt of trials that share it, each row with its trial's injection, showing the states behind it.

    The answer is not run. `more` are arguments of the forward, such as a cache to fill. Gives the logits behind the
    prompt, `(trial, vocabulary)`. Raises ValueError for trials that do not share prompt and number of loops.
    """
    (key, *others) = dict.fromkeys(map(key_of, trials))
    if others:
        raise ValueError("the trials of one walk must share their prompt and their number of loops")
    looped, encoded, (_, n_loops, _) = engine.tap.looped, engine.prompts[prompt_key(trials[0])], key
    shown = looped.sites(n_loops) if sites is None else sites
    weights = engine.prefix(key).weights([trial.injection for trial in trials])
    span = slice(encoded.span_start, encoded.span_stop)
    adding = engine.injector(trials).visits(range(len(trials)), span, weights=weights)
    visits: dict[Site, Visit] = dict(adding)
    visits |= {site: partial(_after, adding.get(site), partial(look, site)) for site in shown}
    ids = torch.tensor([encoded.token_ids], device=looped.device).expand(len(trials), -1)
    inputs = {"input_ids": ids, **UNCACHED, **looped.prompt_arguments(torch.ones_like(ids)), **more}
    logits: Tensor = engine.tap.run(visits, n_loops=n_loops, **inputs).logits[:, -1]
    return logits


@torch.inference_mode()
def walk_behind(
    engine: Engine, trials: Sequence[Trial], look: Look, *, sites: Sequence[Site] | None = None
) -> list[Tensor]:
    """Run what the injections of trials can change, as a sweep does: the prompt behind its shared tokens and one site.

    The trials share their prompt, number of loops and first site (see `alike`). Shown are the states over the
    prompt's tokens from its first injected one on, those of the engine's `prefix`, `(row, position, d_model)`, at all
    `sites`; before the first injected site they are the prefix's own, unless the model runs its tokens one after
    another. Gives the logits after each loop, `(trial, vocabulary)`.
    """
    prefix, injector = engine.prefix(key_of(trials[0])), engine.injector(trials)
    (first,) = dict.fromkeys(injector.first)
    shown = engine.tap.looped.sites(prefix.n_loops) if sites is None else sites
    behind = [site for site in shown if first is not None and (site >= first or engine.tap.looped.by_token)]
    for site in shown:
        if site not in behind:
            look(site, prefix.states[site].expand(len(trials), -1, -1))
    cache, weights = prefix.cache(len(trials), 0), prefix.weights([trial.injection for trial in trials])
    cache.aim(0, [0] * len(trials), prefix.length)
    start = Start(engine.tap, prefix, cache, injector, range(len(trials)), first, weights)
    start.visits |= {site: partial(_after, start.visits.get(site), partial(look, site)) for site in behind}
    return start.readouts(start.run())


def alike(trials: Sequence[Trial], size: int, *, by_site: bool = False) -> Iterator[list[Trial]]:
    """Cut trials into batches that can be walked together, in the order in which each kind first comes.

    With `by_site` those of a batch have their first site in common, too.
    """
    groups: dict[object, list[Trial]] = {}
    for trial in trials:
        first = None if trial.injection is None or not by_site else min(trial.injection.sites)
        groups.setdefault((key_of(trial), first), []).append(trial)
    for group in groups.values():
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _after(adding: Visit | None, look: Visit, h: Tensor) -> None:
    if adding is not None:
        adding(h)
    look(h)
