"""Paths of the prompt's last token: the states of injected trials behind every block, beside those of their controls.

Goes in: trials of one number of loops. Come out, batch by batch: points in running order, with the state before the
first block as the first one, for the trials and for controls that differ from them in nothing but the injection.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from introspect.injection.engine.engine import Engine, key_of
from introspect.injection.engine.uncached_forward import alike, walk_trials
from introspect.models.looped_model import LoopedModel
from introspect.records.trial import Site, Trial


@dataclass(frozen=True)
class Walked:
    """The states of one batch."""

    points: Tensor
    """Of the last token, `(row, 1 + site, d_model)`, the first before all blocks."""
    whole: dict[Site, Tensor]
    """Of all tokens, `(row, position, d_model)`, where the model has a coda to read them; else empty."""


@dataclass(frozen=True)
class Pairs:
    """A batch of trials and their controls, row by row."""

    trials: list[Trial]
    walked: Walked
    controls: Walked


def pairs(engine: Engine, trials: Sequence[Trial], size: int) -> Iterator[Pairs]:
    """Walk trials in batches beside their controls.

    The controls are walked in a batch of the same prompt and size, row for row, so that every number of a trial without
    an injection equals its control's to the last bit; such a batch is walked once and serves all others like it.
    """
    kept: dict[object, Walked] = {}
    for batch in alike(trials, size):
        kind = key_of(batch[0]), len(batch)
        if kind not in kept:
            kept = {other: walked for other, walked in kept.items() if other[0] == kind[0]}  # type: ignore[index]
            kept[kind] = walked_states(engine, [control_of(trial) for trial in batch])
        yield Pairs(batch, walked_states(engine, batch), kept[kind])


def control_of(trial: Trial) -> Trial:
    """Return the trial with nothing injected."""
    return replace(trial, arm="none", injection=None, partner=None)


def walked_states(engine: Engine, trials: Sequence[Trial]) -> Walked:
    """Run the prompt of trials that share it and keep the states."""
    looped, n_loops = engine.tap.looped, trials[0].n_loops
    points: dict[Site, Tensor] = {}
    whole: dict[Site, Tensor] = {}

    def look(site: Site, h: Tensor) -> None:
        points[site] = h[:, -1].clone()
        if looped.coda and site.stage != "coda":
            whole[site] = h.clone()

    with _entering(looped, n_loops, points) as entering:
        walk_trials(engine, trials, look)
    entered = entering[-n_loops if looped.by_token else -1]  # the last token's calls, one a loop, come last
    return Walked(torch.stack([entered, *(points[site] for site in looped.sites(n_loops))], dim=1), whole)


@contextmanager
def _entering(looped: LoopedModel, n_loops: int, points: Mapping[Site, Tensor]) -> Iterator[list[Tensor]]:
    """Keep what the first block reads at the last token, `(row, d_model)`, until the first point is there.

    Of a model that runs its tokens one after another every call is kept. Forwards that are run before, to make the
    injections ready, come first.
    """
    entering: list[Tensor] = []

    def keep(_: nn.Module, read: tuple[Tensor, ...]) -> None:
        if looped.by_token or not points:
            entering.append(read[0][:, -1].clone())

    block, _ = looped.locate(looped.sites(n_loops)[0], n_loops)
    handle = block.register_forward_pre_hook(keep)
    try:
        yield entering
    finally:
        handle.remove()
