"""What each (loop, layer) does to a text, beside a feed-forward model: norms, entropy, attention and how it repeats.

Goes in: a model and batches of texts. Come out: a row per site, and the distances between the attention matrices of
all pairs of sites. The matrices of one slice of a batch are there at a time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from introspect.analyses.dynamics.attention import cleared, concentration, frobenius, mixing, sink_rate
from introspect.analyses.dynamics.entropy import matrix_entropy
from introspect.analyses.dynamics.moments import Moments, over_tokens
from introspect.analyses.kept_units import Array, Keeping
from introspect.injection.engine.uncached_forward import Rows, walk
from introspect.models.attention_weights import watched
from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Tap
from introspect.records.trial import Site

_MEASURES = ("norm", "entropy", "concentration", "sink_rate", "mixing")
"""Mean norm of the residual stream, matrix entropy of the states in nats, and what `attention.py` measures."""
MOST_BYTES = 2**28
"""Attention matrices that are there at once."""


@dataclass(frozen=True)
class Stages:
    """What was measured at the sites of the loops."""

    sites: pd.DataFrame
    """A row per (loop, layer): _MEASURES with intervals over `n` texts."""
    pairs: pd.DataFrame
    """A row per pair of sites: Frobenius distance of their attention matrices, with its interval over `n` texts."""


def measure_stages(tap: Tap, batches: Iterable[Rows], *, n_loops: int, keep: Keeping) -> Stages:
    """Measure every (loop, layer) of the loops on texts."""
    sites = [site for site in tap.looped.sites(n_loops) if site.stage == "core"]
    measured, apart = Moments(len(sites), len(_MEASURES)), Moments(len(sites), len(sites))
    slices = [rows for batch in batches for rows in _slices(tap.looped, batch, len(sites))]
    keep.begin("batches of texts to watch the attention on", len(slices))
    for rows in slices:
        kept = keep.unit(partial(_walked, tap, rows, sites, n_loops), model=tap.looped.weights_hash, **rows.named)
        measured.add(torch.from_numpy(kept["values"]))
        apart.add(torch.from_numpy(kept["apart"]))
    places = pd.DataFrame([(site.loop, site.layer) for site in sites], columns=["loop", "layer"])
    pairs = places.merge(places, how="cross", suffixes=("", "_other"))
    return Stages(places.join(measured.table(_MEASURES)), pairs.assign(**apart.columns("distance"), n=apart.n))


def attention_bytes(looped: LoopedModel, tokens: int, n_sites: int) -> int:
    """Return the bytes of one text's attention matrices at so many sites."""
    heads = looped.d_model // looped.cache_shape(looped.n_loops)[2]
    return n_sites * heads * tokens**2 * 4


def _slices(looped: LoopedModel, rows: Rows, n_sites: int) -> Iterator[Rows]:
    """Cut a batch so that its attention matrices fit, a row at least."""
    size = max(1, MOST_BYTES // attention_bytes(looped, rows.ids.shape[1], n_sites))
    for start in range(0, len(rows.ids), size):
        yield Rows(rows.ids[start : start + size], rows.mask[start : start + size])


def _walked(tap: Tap, rows: Rows, sites: list[Site], n_loops: int) -> dict[str, Array]:
    """Return `values`, measures of texts `(row, site, measure)`, and `apart` of its matrices `(row, site, site)`."""
    weights: dict[Site, Tensor] = {}
    states: dict[Site, list[Tensor]] = {}

    def look(site: Site, h: Tensor) -> None:
        states[site] = [over_tokens(h.float().norm(dim=-1), rows.mask), matrix_entropy(h, rows.mask)]

    def weigh(site: Site, found: Tensor) -> None:
        if site.stage == "core":
            weights[site] = cleared(found, rows.mask)

    with watched(tap.looped, tap.looped.sites(n_loops), weigh):
        walk(tap, rows, look, n_loops=n_loops, sites=sites)
    values = [
        [*states[site], *(each(weights[site], rows.mask) for each in (concentration, sink_rate, mixing))]
        for site in sites
    ]
    stacked = torch.stack([torch.stack([each.double() for each in site], -1) for site in values], 1)
    apart = frobenius([weights[site] for site in sites])
    return {"values": stacked.cpu().numpy(), "apart": apart.cpu().numpy()}
