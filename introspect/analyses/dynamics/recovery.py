"""Where an injection goes: how far the path of an injected trial is from that of the same prompt without one.

Goes in: trials with an injection. Comes out: for each trial and each (loop, layer) from the injection on, the distance
between the two paths, and how much of what was injected is left; and how fast the paths come together. What an
injection cannot change, the tokens before it and the sites before it, is run once per prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from introspect.analyses.kept_units import Array, Keeping
from introspect.injection.engine.engine import Engine, key_of
from introspect.injection.engine.failures import UnreachableError
from introspect.injection.engine.uncached_forward import alike, walk_behind
from introspect.records.trial import Site, Trial

ROUNDING = 32
"""Distances below so many rounding errors of the state's norm say nothing of the path any more."""
POINTS = 3
"""Loops that a rate needs at least."""
_MEASURES = ("distance", "relative", "projection", "cosine")
_ABOUT = ("arm", "concept", "strength", "loop", "layer")
"""What is said of a trial in each of its rows."""
_COLUMNS = [*_ABOUT, "trial", "floor", "at_loop", "at_layer", *_MEASURES]


@dataclass(frozen=True)
class Injected:
    """A trial, and the site at which its vector is added for the last time."""

    trial: Trial
    site: Site
    vector: Tensor
    """What is added there, strength included, `(d_model,)` in float64."""


def followed_recovery(
    engine: Engine, trials: Sequence[Trial], *, n_loops: int, batch_size: int, keep: Keeping
) -> pd.DataFrame:
    """Return a row per trial and (loop, layer) of the loops from its injection on, when so many loops are run at least.

    With D = state of the trial - state without injection, at each injected position, and v what was added there:
    `distance` |D|, `relative` |D| / |state without|, `projection` D.v / |v|^2 (1: all of it is still there) and
    `cosine` of D and v; means over the positions. `floor` is the distance, relative to the state, that rounding makes;
    `n_loops` are the trial's own. A trial whose dose is out of reach is left out.
    """
    reached = [trial for trial in trials if _reached(engine, trial)]
    longer = {trial.id: replace(trial, n_loops=max(n_loops, trial.n_loops)) for trial in reached}
    batches = list(alike(list(longer.values()), batch_size, by_site=True))
    keep.begin("batches of injected trials to follow", len(batches))
    parts = [_batch(engine, batch, keep) for batch in batches]
    steps = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)
    own = {longer[trial.id].id: trial.n_loops for trial in reached}
    return steps.assign(n_loops=steps["trial"].map(own))


def contraction(distances: Sequence[float], floor: float) -> float:
    """Return the factor by which a distance changes per loop: exp of the slope of its logarithm, by least squares.

    What follows the first distance at or below `floor` is left out; NaN where fewer than POINTS distances are left.
    """
    kept = np.asarray(distances, dtype=float)
    low = np.flatnonzero(~(kept > floor))
    kept = kept[: low[0]] if len(low) else kept
    if len(kept) < POINTS:
        return float("nan")
    return float(np.exp(np.polyfit(np.arange(len(kept)), np.log(kept), 1)[0]))


def endings(steps: pd.DataFrame) -> pd.DataFrame:
    """Return a row per trial: `factor` per loop at the last layer, from the loop of the injection on, and how it ends.

    `start` and `end` are the relative distances behind the first such layer and at the last loop.
    """
    ends = steps[steps["at_layer"] == steps["at_layer"].max()].sort_values("at_loop")
    rows = []
    for trial, part in ends.groupby("trial", sort=False):
        relative, first = part["relative"].tolist(), part.iloc[0]
        factor = contraction(relative, float(first["floor"]))
        about = first[[*_ABOUT, "n_loops"]].to_dict()
        rows.append({**about, "trial": trial, "factor": factor, "start": relative[0], "end": relative[-1]})
    return pd.DataFrame(rows, columns=[*_ABOUT, "n_loops", "trial", "factor", "start", "end"])


def _batch(engine: Engine, trials: list[Trial], keep: Keeping) -> pd.DataFrame:
    """Walk trials that share prompt and first site, and measure each against the prompt without an injection."""
    injected = [_injected(engine, trial) for trial in trials]
    sites = [site for site in engine.tap.looped.sites(trials[0].n_loops) if site.stage == "core"]
    kept = keep.unit(partial(_walked, engine, injected, sites), trials=[trial.id for trial in trials])
    measured, floor = kept["measured"].astype(np.float64), ROUNDING * torch.finfo(engine.tap.looped.dtype).eps
    rows = [
        (*_about(each), each.trial.id, floor, site.loop, site.layer, *values)
        for each, of_sites in zip(injected, measured, strict=True)
        for site, values in zip(sites, of_sites, strict=True)
        if site >= each.site
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _walked(engine: Engine, injected: Sequence[Injected], sites: Sequence[Site]) -> dict[str, Array]:
    """Return _MEASURES at every site, `(trial, site, measure)`."""
    trials = [each.trial for each in injected]
    prefix = engine.prefix(key_of(trials[0]))
    weights, span = prefix.weights([trial.injection for trial in trials]), prefix.columns
    inside = None if weights is None else (weights != 0).to(engine.tap.looped.device)
    pushes = torch.stack([each.vector for each in injected]).to(engine.tap.looped.device)
    measured: dict[Site, Tensor] = {}

    def look(site: Site, h: Tensor) -> None:
        measured[site] = _measured(h[:, span], prefix.states[site][:, span], pushes, inside).cpu()

    walk_behind(engine, trials, look, sites=sites)
    return {"measured": torch.stack([measured[site] for site in sites], 1).numpy()}


def _reached(engine: Engine, trial: Trial) -> bool:
    try:
        return bool(engine.pushes(trial))
    except UnreachableError:
        return False


def _injected(engine: Engine, trial: Trial) -> Injected:
    site, vector = max(engine.pushes(trial).items())
    return Injected(trial, site, vector)


def _about(each: Injected) -> tuple[object, ...]:
    assert each.trial.injection is not None
    return each.trial.arm, each.trial.concept, each.trial.injection.strength, each.site.loop, each.site.layer


def _measured(with_: Tensor, without: Tensor, pushes: Tensor, inside: Tensor | None) -> Tensor:
    """Return _MEASURES of each row, `(row, measure)`: means over the positions that are inside (None: all).

    States are `(row, position, d_model)`, one row without; pushes are `(row, d_model)`.
    """
    exact = torch.promote_types(with_.dtype, torch.float32)
    apart, v = with_.to(exact) - without.to(exact), pushes.to(exact)[:, None]
    distance, along = apart.norm(dim=-1), (apart * v).sum(-1)
    size = v.norm(dim=-1)
    values = (distance, distance / without.to(exact).norm(dim=-1), along / size**2, along / (distance * size))
    stacked = torch.stack(values, -1)  # (row, position, measure)
    if inside is None:
        return stacked.mean(1)
    return (stacked * inside[..., None]).sum(1) / inside.sum(1, keepdim=True)
