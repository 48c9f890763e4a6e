"""One trial and its control, side by side in the few dimensions in which both vary most.

Goes in: the points of both paths. Comes out: a Drawn, from which the static figures and the page are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from introspect.analyses.trajectory.geometry import root_of_metric, salience, turned
from introspect.analyses.trajectory.paths import control_of, walked_states
from introspect.injection.engine.engine import Engine
from introspect.records.trial import Site, Trial
from introspect.results.figures.style import ARM_LABELS

_START = "embedding"
"""Name of the first point, before all blocks."""
DIMENSIONS = 3


@dataclass(frozen=True)
class Drawn:
    """Two paths in three dimensions."""

    title: str
    names: tuple[str, ...]
    """Of the points: _START, and then the sites, `loop:layer`."""
    loops: tuple[int, ...]
    """Of the points: -1 before all loops, and the number of loops behind them."""
    n_loops: int
    trial: Tensor
    """`(point, 3)`."""
    control: Tensor
    """The same."""
    steps: tuple[Tensor, Tensor]
    """Lengths of the steps to each point but the first, of trial and control."""
    injected: tuple[int, ...]
    """Numbers of the points at which the trial is injected."""
    shares: tuple[float, ...]
    """Share of the variance that each dimension has."""


@torch.inference_mode()
def drawn(engine: Engine, trials: Sequence[Trial]) -> list[Drawn]:
    """Walk single trials beside their controls and lay both out, in the metric of the unembedding."""
    looped = engine.tap.looped
    root = root_of_metric(looped.model.get_output_embeddings().weight)
    made = []
    for trial in trials:
        paths = [turned(walked_states(engine, [each]).points[0], root) for each in (trial, control_of(trial))]
        made.append(laid_out(trial, looped.sites(trial.n_loops), paths[0], paths[1]))
    return made


def laid_out(trial: Trial, sites: Sequence[Site], path: Tensor, control: Tensor) -> Drawn:
    """Fit the dimensions on both paths `(point, d)` together."""
    assert trial.injection is not None, trial.arm
    where = ",".join(map(str, trial.injection.sites))
    title = f"{trial.concept}, {ARM_LABELS[trial.arm]} at {where}, strength {trial.injection.strength:g}"
    places, shares = principal_axes(torch.cat([path, control]))
    loops = [-1, *({"prelude": -1, "coda": trial.n_loops}.get(site.stage, site.loop) for site in sites)]
    injected = tuple(1 + sites.index(site) for site in trial.injection.sites)
    names, steps = (_START, *map(str, sites)), (salience(path), salience(control))
    both = places[: len(path)], places[len(path) :]
    return Drawn(title, names, tuple(loops), trial.n_loops, *both, steps, injected, shares)


def principal_axes(points: Tensor) -> tuple[Tensor, tuple[float, ...]]:
    """Return points `(n, d)` in their first principal components, `(n, 3)`, and the share of the variance of each.

    The sign of each is such that the point farthest out is positive. What has fewer dimensions gets zeros.
    """
    centred = points - points.mean(0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    places = u * s
    places = places * places.gather(0, places.abs().argmax(0, keepdim=True)).sign()
    missing = max(0, DIMENSIONS - places.shape[1])
    places = torch.nn.functional.pad(places[:, :DIMENSIONS], (0, missing))
    shares = (s.square() / s.square().sum().clamp(min=torch.finfo(s.dtype).tiny))[:DIMENSIONS].tolist()
    return places, (*shares, *[0.0] * missing)
