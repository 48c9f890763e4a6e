"""What is measured of each path and of its control: geometry in two metrics, and what lenses read along it.

Goes in: batches of paths. Comes out: a row a trial, and for every quantity a number at every site, trial and control.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from introspect.analyses.trajectory import geometry
from introspect.analyses.trajectory.lenses import WORDS, coda_lens, has_lens, lenses_of, logit_lens, spoken
from introspect.analyses.trajectory.paths import Pairs, Walked, pairs
from introspect.injection.engine.engine import Engine
from introspect.records.trial import Site, Trial

QUANTITIES = ("salience", "curvature", "area")
METRICS = ("unembedding", "raw")
"""The pullback metric of the unembedding, and the plain one of the residual stream."""

_Numbers = dict[tuple[str, ...], NDArray[np.float64]]
"""`(trial, site)` by (quantity, metric), or by (lens, word, `rank` or `p`); NaN where there is none."""


@dataclass(frozen=True)
class MeasuredPaths:
    """All trials and their controls."""

    trials: pd.DataFrame
    """A row a trial: concept, arm, sites, strength, repeat."""
    sites: list[Site]
    """Of the numbers, in running order."""
    injected: _Numbers
    control: _Numbers

    def difference(self, *key: str) -> NDArray[np.float64]:
        """Return a quantity of the trials less that of their controls."""
        return self.injected[key] - self.control[key]


@torch.inference_mode()
def measured(engine: Engine, trials: Sequence[Trial], size: int) -> MeasuredPaths:
    """Walk trials of one number of loops and measure them; the states of one batch are there at a time."""
    looped = engine.tap.looped
    root = geometry.root_of_metric(looped.model.get_output_embeddings().weight)
    rows: list[dict[str, object]] = []
    parts: tuple[list[_Numbers], list[_Numbers]] = [], []
    for batch in pairs(engine, trials, size):
        rows += map(described, batch.trials)
        for part, numbers in zip(parts, _batch(engine, batch, root), strict=True):
            part.append(numbers)
    injected, control = ({key: np.concatenate([each[key] for each in part]) for key in part[0]} for part in parts)
    return MeasuredPaths(pd.DataFrame(rows), looped.sites(trials[0].n_loops), injected, control)


def described(trial: Trial) -> dict[str, object]:
    """Return what tells a trial from others of its run."""
    injection = trial.injection
    sites = None if injection is None else ",".join(map(str, injection.sites))
    strength = None if injection is None else injection.strength
    about = {"concept": trial.concept, "arm": trial.arm, "sites": sites, "strength": strength}
    return {**about, "repeat": trial.repeat}


def _batch(engine: Engine, batch: Pairs, root: Tensor) -> tuple[_Numbers, _Numbers]:
    concepts = [trial.concept for trial in batch.trials]
    shapes = shaped(batch.walked.points, batch.controls.points, root)
    read = [_said(engine, walked, concepts, batch.trials[0].n_loops) for walked in (batch.walked, batch.controls)]
    return shapes[0] | read[0], shapes[1] | read[1]


def shaped(points: Tensor, controls: Tensor, root: Tensor) -> tuple[_Numbers, _Numbers]:
    """Measure the geometry of paths and of their controls, `(row, point, d_model)` each, in both metrics."""
    both: tuple[_Numbers, _Numbers] = {}, {}
    for metric, by in zip(METRICS, (root, None), strict=True):
        paths = [geometry.turned(path, by) for path in (points, controls)]
        gauge = (paths[1][..., -1, :] - paths[1][..., 0, :]).norm(dim=-1)
        for numbers, path in zip(both, paths, strict=True):
            bends = torch.nn.functional.pad(geometry.curvature(path), (0, 1), value=torch.nan)
            numbers["salience", metric] = geometry.salience(path).numpy()
            numbers["curvature", metric] = bends.numpy()
            numbers["area", metric] = geometry.area(path, gauge).numpy()
    return both


def _said(engine: Engine, walked: Walked, concepts: Sequence[str], n_loops: int) -> _Numbers:
    """Read what each lens says behind every block."""
    looped, numbers = engine.tap.looped, _Numbers()
    sites = looped.sites(n_loops)
    for lens in lenses_of(looped):
        found = torch.full((len(concepts), len(sites), len(WORDS), 2), torch.nan, dtype=torch.float64)
        for place, site in enumerate(sites):
            if has_lens(lens, site):
                state = walked.points[:, place + 1] if lens == "logit" else walked.whole[site]
                logits = logit_lens(looped, state) if lens == "logit" else coda_lens(looped, state)
                found[:, place] = spoken(logits, engine.answers, concepts)
        for index, word in enumerate(WORDS):
            numbers[lens, word, "rank"], numbers[lens, word, "p"] = (
                each.numpy() for each in found[:, :, index].unbind(-1)
            )
    return numbers
