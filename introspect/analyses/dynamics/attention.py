"""Attention matrices as numbers: how they differ between sites, where they gather, how far they spread.

Goes in: weights `(row, head, asking, asked)` and which tokens there are. Comes out: numbers a text; padding takes no
part. Definitions: Blayney et al. (2026), section 3; they are means over the heads.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

SINK = 0.3
"""Mean weight on one token from which a head has a sink there."""


def cleared(weights: Tensor, mask: Tensor) -> Tensor:
    """Set to zero what padded tokens ask and what they are asked, in float32."""
    kept = mask.bool()
    return weights.float().masked_fill(~(kept[:, None, :, None] & kept[:, None, None, :]), 0)


def concentration(weights: Tensor, mask: Tensor) -> Tensor:
    """Return 1 - H(c) / log n, c the share of all attention that each of n tokens gets: 1 if one gets all. `(row,)`."""
    n = mask.sum(-1)
    shares = weights.sum(-2) / n[:, None, None]
    found: Tensor = (1 - torch.special.entr(shares).sum(-1) / n.log()[:, None]).mean(-1)
    return found


def sink_rate(weights: Tensor, mask: Tensor, *, least: float = SINK) -> Tensor:
    """Return the share of heads in which some token gets a mean weight of at least `least`. `(row,)`.

    In a text of few tokens even uniform causal attention puts that much on the first one: 0.3 up to 9 tokens.
    """
    scores = weights.sum(-2) / mask.sum(-1)[:, None, None]
    return (scores.amax(-1) >= least).float().mean(-1)


def mixing(weights: Tensor, mask: Tensor) -> Tensor:
    """Return the mean entropy of what a token asks, in nats: 0 if each attends to one token. `(row,)`."""
    found: Tensor = (torch.special.entr(weights).sum(-1).sum(-1) / mask.sum(-1)[:, None]).mean(-1)
    return found


def frobenius(matrices: Sequence[Tensor]) -> Tensor:
    """Return the distance between all pairs of sites, `(row, site, site)`, of cleared weights a site.

    Of each text it is the root of the mean over heads of the squared Frobenius distance.
    """
    first = matrices[0]
    flat = torch.stack([each.flatten(1) for each in matrices], 1)
    return torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist") / math.sqrt(first.shape[1])
