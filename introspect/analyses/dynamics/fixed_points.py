"""Does a stack that is run over and over come to rest? Measured at every layer against its own end.

Goes in: what runs a batch and shows its states, twice: the first time the last state of each layer is kept, the second
time every recurrence is measured against it and against the one before. Only sums over texts are kept. Definitions:
Blayney et al. (2026), sections 3 and 4; the last recurrence stands for the fixed point there too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from introspect.analyses.dynamics.moments import Moments, over_tokens
from introspect.analyses.dynamics.tokens import CLASSES, classify
from introspect.errors import InputError
from introspect.injection.engine.uncached_forward import Look
from introspect.records.trial import Site

Show = Callable[[Look, Sequence[Site]], object]
"""Runs one batch and shows the states at these sites, the same ones every time it is called."""

LEAST_LOOPS = 4
MOST_LOOPS = 100_000
"""Recurrences beyond which the path of every block does not fit in memory."""
"""Recurrences below which there is no half to settle in."""
_MEASURES = ("change", "change_relative", "change_cosine", "distance", "distance_relative", "distance_cosine", "norm")
"""Against the recurrence before, against the last one, and the norm of the state itself; means over tokens."""
NEAR = 0.1
"""Distance from the end, as 1 - cosine, up to which a layer is where it ends."""
AT_REST = 0.01
"""Angle from the state of the loop before, in radians, up to which a layer rests."""
DEGENERATE = 0.999
"""Lowest cosine between layers' fixed points from which they count as one."""

FixedPointVerdict = Literal["converges", "degenerate", "does not"]


@dataclass(frozen=True)
class Settled:
    """What was measured of a stack."""

    layers: pd.DataFrame
    """A row per (layer, recurrence): _MEASURES with intervals over texts, `n` texts; loop 0 has no change."""
    distinct: pd.DataFrame
    """Cosine of each layer's fixed point with that of layer 0, and the lowest of them, mean over tokens."""
    tokens: pd.DataFrame
    """A row per class of tokens: k of n tokens, the rate of tokens, and its interval over texts."""

    @property
    def verdict(self) -> FixedPointVerdict:
        """Say whether the stack converges: see `verdict`."""
        return verdict(self.away, self.turn, self.lowest)

    @property
    def away(self) -> float:
        """Return how far the layer farthest from its end still is at half of the recurrences, as 1 - cosine."""
        half = self.layers[self.layers["loop"] == self.layers["loop"].max() // 2]
        return float((1 - half["distance_cosine"]).max())

    @property
    def turn(self) -> float:
        """Return the angle in radians by which the layer that turns most still turns at the last recurrence."""
        last = self.layers[self.layers["loop"] == self.layers["loop"].max()]
        return float(np.arccos(last["change_cosine"].clip(-1, 1)).max())

    @property
    def lowest(self) -> float:
        """Return the lowest cosine of another layer's fixed point with that of layer 0."""
        return float(self.distinct.loc[self.distinct["layer"] == "lowest", "cosine"].iloc[0])


def verdict(away: float, turn: float, lowest: float) -> FixedPointVerdict:
    """Say what a stack does, from `away`, `turn` and `lowest` of what was measured; the thresholds are ours.

    It converges when every layer was within NEAR of its end at half of the recurrences and rests at the last one; the
    convergence is degenerate when all layers have the same fixed point. Directions are judged, not norms, since a
    pre-norm stack without re-feed grows forever.
    """
    if not (away <= NEAR and turn <= AT_REST):
        return "does not"
    return "degenerate" if lowest >= DEGENERATE else "converges"


@dataclass(frozen=True)
class FixedPoint:
    """What was measured of one batch."""

    layers: Tensor
    """`(row, layer, recurrence, measure)`, of _MEASURES; the first recurrence has no change."""
    distinct: Tensor
    """`(row, layer + 1)`: see `Settled.distinct`."""
    classes: Tensor
    """`(row, class)`: tokens of each class."""


def measure_fixed_points(show: Show, mask: Tensor, n_layers: int, recurrences: int) -> FixedPoint:
    """Measure one batch, which is run twice; `mask` is `(row, position)`, 1 where there is a token."""
    ends: dict[int, Tensor] = {}
    last = [Site(recurrences - 1, layer) for layer in range(n_layers)]
    show(lambda site, h: ends.update({site.layer: _exact(h)}), last)
    before: dict[int, Tensor] = {}
    measured = torch.full((len(mask), n_layers, recurrences, len(_MEASURES)), torch.nan)
    cosines = torch.empty(*mask.shape, recurrences)

    def look(site: Site, h: Tensor) -> None:
        h = _exact(h)
        values = [*_apart(h, before.get(site.layer)), *_apart(h, ends[site.layer]), h.norm(dim=-1)]
        measured[:, site.layer, site.loop] = torch.stack([over_tokens(each, mask) for each in values], -1).cpu()
        if site.layer == n_layers - 1:
            cosines[..., site.loop] = values[_MEASURES.index("distance_cosine")].cpu()
        before[site.layer] = h

    show(look, [Site(loop, layer) for loop in range(recurrences) for layer in range(n_layers)])
    distinct = _likeness([ends[layer] for layer in range(n_layers)], mask).cpu()
    return FixedPoint(measured, distinct, _classes(cosines, mask.bool().cpu()))


class Settling:
    """Gathers batch after batch. InputError for fewer than LEAST_LOOPS recurrences."""

    def __init__(self, n_layers: int, recurrences: int) -> None:
        if recurrences < LEAST_LOOPS:
            raise InputError(
                f"recurrences {recurrences}: must be at least {LEAST_LOOPS}, to have a half in which to settle"
            )
        self.n_layers, self.recurrences = n_layers, recurrences
        self._layers = Moments(n_layers, recurrences, len(_MEASURES))
        self._distinct = Moments(n_layers + 1)
        self._shares = Moments(len(CLASSES))
        self._counts = np.zeros(len(CLASSES), dtype=int)

    def add(self, measured: FixedPoint) -> None:
        """Take one batch in."""
        self._layers.add(measured.layers)
        self._distinct.add(measured.distinct)
        self._counts += measured.classes.sum(0).numpy()
        self._shares.add(measured.classes / measured.classes.sum(1, keepdim=True))

    def settled(self) -> Settled:
        """Return what was measured so far."""
        places = [(layer, loop) for layer in range(self.n_layers) for loop in range(self.recurrences)]
        layers = pd.DataFrame(places, columns=["layer", "loop"])
        names = [*map(str, range(self.n_layers)), "lowest"]
        distinct = pd.DataFrame({"layer": names, **self._distinct.columns("cosine"), "n": self._distinct.n})
        shares = self._shares.columns("share")
        whole = {"k": self._counts, "n": int(self._counts.sum()), "recurrences": self.recurrences}
        tokens = pd.DataFrame({"class": CLASSES, **whole})
        tokens["rate"] = tokens["k"] / tokens["n"].where(tokens["n"] > 0)
        return Settled(
            layers.join(self._layers.table(_MEASURES)), distinct, tokens.assign(**shares, texts=self._shares.n)
        )


def _classes(cosines: Tensor, kept: Tensor) -> Tensor:
    """Count the tokens of each class, `(row, class)`, padding left out."""
    classes = classify(cosines)
    return torch.stack([(classes == number) & kept for number in range(len(CLASSES))], -1).sum(1)


def _exact(h: Tensor) -> Tensor:
    """Copy a state in float32 or better."""
    return h.detach().to(torch.promote_types(h.dtype, torch.float32), copy=True)


def _apart(h: Tensor, other: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return how far states are from others, in the norm, relative to the norm of these, and the cosine; else NaN."""
    if other is None:
        nothing = torch.full_like(h[..., 0], torch.nan)
        return nothing, nothing, nothing
    distance = (h - other).norm(dim=-1)
    return distance, distance / other.norm(dim=-1), cosine_similarity(h, other, dim=-1)


def _likeness(ends: Sequence[Tensor], mask: Tensor) -> Tensor:
    """Return cosine of each layer's end with layer 0's, and each token's lowest with another, `(row, layer + 1)`."""
    cosines = [cosine_similarity(end, ends[0], dim=-1) for end in ends]
    others = torch.stack(cosines[1:]).amin(0) if len(ends) > 1 else torch.full_like(cosines[0], torch.nan)
    return torch.stack([over_tokens(each, mask) for each in (*cosines, others)], -1)
