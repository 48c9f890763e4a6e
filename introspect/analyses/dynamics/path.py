"""The path of one token through all (loop, layer) in the plane in which it moves most.

Goes in: a model and one text. Comes out: two coordinates a site.
"""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from introspect.analyses.kept_units import Array, Keeping
from introspect.injection.engine.uncached_forward import Rows, walk
from introspect.models.tap import Tap
from introspect.records.trial import Site


def path(tap: Tap, rows: Rows, *, n_loops: int, keep: Keeping) -> pd.DataFrame:
    """Return a row per (loop, layer): `x` and `y` of the last token of the first text, and the share of variance."""
    sites = [site for site in tap.looped.sites(n_loops) if site.stage == "core"]
    first = Rows(rows.ids[:1], rows.mask[:1])
    keep.begin("path", 1)
    kept = keep.unit(partial(_walked, tap, first, sites, n_loops), **first.named)
    points, shares = principal(torch.from_numpy(kept["states"]))
    places = pd.DataFrame([(site.loop, site.layer) for site in sites], columns=["loop", "layer"])
    return places.assign(
        x=points[:, 0].numpy(), y=points[:, 1].numpy(), x_share=float(shares[0]), y_share=float(shares[1])
    )


def principal(states: Tensor) -> tuple[Tensor, Tensor]:
    """Project states on their two principal axes: `(state, d_model)` to `(state, 2)`, and the variance of each."""
    centred = states - states.mean(0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    turned = torch.where(u[-1:, :2] < 0, -1.0, 1.0)  # the sign of an axis is arbitrary: the path ends at positive x, y
    return u[:, :2] * s[:2] * turned, s[:2] ** 2 / (s**2).sum()


def _walked(tap: Tap, rows: Rows, sites: Sequence[Site], n_loops: int) -> dict[str, Array]:
    states: dict[Site, Tensor] = {}
    walk(tap, rows, lambda site, h: states.update({site: h[0, -1].double().cpu()}), n_loops=n_loops, sites=sites)
    return {"states": torch.stack([states[site] for site in sites]).numpy()}
