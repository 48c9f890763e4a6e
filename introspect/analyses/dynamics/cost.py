"""What `dynamics` takes, before it is run. Goes in: what is opened. Comes out: forwards and bytes."""

from collections.abc import Mapping
from dataclasses import dataclass

from introspect.analyses.dynamics.dynamics import Opened
from introspect.analyses.dynamics.stages import MOST_BYTES, attention_bytes
from introspect.injection.engine.engine import PromptKey, prompt_key
from introspect.injection.engine.uncached_forward import alike
from introspect.models.looped_model import LoopedModel
from introspect.prompts import Encoded
from introspect.records.trial import Trial

COPIES = 12
"""Copies of the residual stream in float32 that one block and what is measured behind it hold at once."""


@dataclass(frozen=True)
class _Cost:
    """What it takes, without a baseline."""

    texts: int
    trials: int
    forwards: int
    block_forwards: int
    """Of one token through one block; padding included."""
    bytes: int
    """The most that is held beside the weights, estimated from above."""


def dynamics_cost(opened: Opened) -> _Cost:
    """Count the forwards over texts, twice all recurrences and once the attention, and behind injections."""
    looped, settings = opened.looped, opened.settings
    batches = opened.rows()
    deep, watched = (len(looped.sites(n)) for n in (settings.recurrences, settings.attention_loops))
    tokens = sum(rows.ids.numel() for rows in batches)
    largest = max(rows.ids.numel() for rows in batches)
    trials = opened.subject.trials(["injected", "random"])
    walks = list(alike(trials, opened.batch_size, by_site=True))
    length = max(rows.ids.shape[1] for rows in batches)
    prompts = {prompt_key(batch[0]): opened.subject.engine.prompts[prompt_key(batch[0])] for batch in walks}
    once = sum(len(each.token_ids) for each in prompts.values()) * len(looped.sites(settings.follow))
    followed = once + sum(len(batch) * _behind(looped, batch[0], settings.follow, prompts) for batch in walks)
    behind = max((len(batch) * len(prompts[prompt_key(batch[0])].token_ids) for batch in walks), default=0)
    state = looped.d_model * 4
    one = attention_bytes(looped, length, watched)
    matrices = max(one, min(MOST_BYTES, opened.batch_size * one))
    held = largest * (state * (2 * looped.n_layers + COPIES) + settings.recurrences * 4)
    return _Cost(
        len(opened.texts),
        len(trials),
        forwards=3 * len(batches) + 1 + len(walks),
        block_forwards=tokens * (2 * deep + watched) + length * deep + followed,
        bytes=max(held, 3 * matrices, behind * state * COPIES),
    )


def _behind(looped: LoopedModel, trial: Trial, follow: int, prompts: Mapping[PromptKey, Encoded]) -> int:
    """Count what is run of a trial: the tokens from its span on, behind its first site."""
    encoded, first = prompts[prompt_key(trial)], min(trial.injection.sites) if trial.injection else None
    tokens = len(encoded.token_ids) - (0 if looped.both_ways else encoded.span_start)
    sites = looped.sites(max(follow, trial.n_loops))
    return tokens * sum(first is not None and (site > first or not looped.resumes) for site in sites)
