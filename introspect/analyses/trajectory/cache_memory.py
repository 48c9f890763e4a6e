"""What the cache holds: keys and values of the injected span, from trials whose injection ends before the question.

Goes in: trials of the protocol `prior`. Comes out: for each trial and site what the injection changed in the keys and
values that later tokens read, the memory on which a report of an earlier thought must rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from introspect.analyses.subject import Subject
from introspect.analyses.trajectory.measure import described
from introspect.analyses.trajectory.paths import control_of
from introspect.concepts.vectors import ConceptVectors
from introspect.experiment.laboratory import Laboratory, prompts_of
from introspect.injection.engine.engine import Engine, prompt_key
from introspect.injection.engine.uncached_forward import alike, walk_trials
from introspect.injection.plan.plan import plan
from introspect.records.trial import Site, Trial

PROTOCOL = "prior"


@dataclass(frozen=True)
class Remembered:
    """What is left in the cache, trial by trial."""

    trials: pd.DataFrame
    """A row a trial: concept, arm, sites, strength, repeat, wording."""
    sites: list[Site]
    changes: NDArray[np.float32]
    """Keys and then values of the span's tokens, their mean, less the control's: `(trial, site, 2 * kv_heads * size)`.
    """
    shares: NDArray[np.float64]
    """Norm of the change over that of the control's keys and values, `(trial, site)`."""


def laboratory_of(subject: Subject) -> Laboratory:
    """Return the laboratory in which the same concepts are injected in the same way, in the protocol `prior`."""
    made = subject.laboratory
    asked = {"protocol": PROTOCOL, "framings": "neutral,informative", "questions": PROTOCOL}
    options = replace(made.options, **asked, template=None, arms="injected")  # type: ignore[arg-type]
    prompts = prompts_of(options, made.design, made.tap.looped.tokenizer)
    return Laboratory(options, made.tap, prompts, made.contrast, made.design)


def planned_for_memory(laboratory: Laboratory, vectors: ConceptVectors, n_loops: int) -> list[Trial]:
    """List the trials whose cache is read."""
    return [trial for trial in plan(laboratory.grid(vectors)) if trial.n_loops == n_loops]


@torch.inference_mode()
def remembered(engine: Engine, trials: Sequence[Trial], size: int) -> Remembered:
    """Run the prompts of trials, each with its injection, and keep what it changed in the cache of the span."""
    kept: dict[object, Tensor] = {}
    rows: list[dict[str, object]] = []
    changes, shares = [], []
    for batch in alike(trials, size):
        kind = prompt_key(batch[0]), len(batch)
        if kind not in kept:
            kept = {kind: held(engine, [control_of(trial) for trial in batch])}
        change = held(engine, batch) - kept[kind]
        changes.append(change)
        shares.append(change.double().norm(dim=-1) / kept[kind].double().norm(dim=-1))
        rows += [{**described(trial), "wording": trial.template} for trial in batch]
    sites = engine.tap.looped.sites(trials[0].n_loops)
    return Remembered(pd.DataFrame(rows), sites, torch.cat(changes).numpy(), torch.cat(shares).numpy())


def held(engine: Engine, trials: Sequence[Trial]) -> Tensor:
    """Return mean keys and values of the span's tokens, `(row, site, 2 * kv_heads * size)` in float32 on the CPU."""
    looped, encoded = engine.tap.looped, engine.prompts[prompt_key(trials[0])]
    cache = looped.new_cache()
    walk_trials(engine, trials, lambda *_: None, sites=[], past_key_values=cache, use_cache=True)
    inside = [
        position
        for start, stop in encoded.spans
        for position in range(start, len(encoded.token_ids) if stop is None else stop)
    ]
    slots = cache.layers[: len(looped.sites(trials[0].n_loops))]  # what follows are read-outs by the coda
    held_at: list[tuple[Tensor, Tensor]] = [(slot.keys, slot.values) for slot in slots]  # type: ignore[union-attr, misc]
    found = [torch.stack(pair, dim=1)[..., inside, :].float().mean(-2).flatten(1) for pair in held_at]
    return torch.stack(found, dim=1).cpu()
