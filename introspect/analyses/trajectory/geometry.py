"""The geometry of a path: how far each step goes, how sharply it bends, and both together, in the metric of a matrix.

Structure after Curved Inference (Manson 2025, arXiv 2507.21107). Goes in: points of paths, in order. Come out: numbers
a point, in float64.
"""

import torch
from torch import Tensor

_CHUNK = 4096
"""Rows of the unembedding that are in float64 at once."""
_FLAT = 1e-9
"""Steps shorter than this share of the longest are none; what is divided by them would be noise."""


def root_of_metric(unembedding: Tensor) -> Tensor:
    """Give R, `(d_model, d_model)`, with (R a).(R b) = (U a).(U b) for U of `(vocabulary, d_model)`.

    U^T U = V diag(w) V^T once, and R = diag(sqrt(w)) V^T, so that each state is turned once and no pair needs a matrix.
    """
    width = unembedding.shape[1]
    gram = torch.zeros(width, width, dtype=torch.float64, device=unembedding.device)
    for first in range(0, len(unembedding), _CHUNK):
        wide = unembedding[first : first + _CHUNK].double()
        gram += wide.T @ wide
    weights, vectors = torch.linalg.eigh(gram.cpu())
    root: Tensor = weights.clamp(min=0).sqrt()[:, None] * vectors.T
    return root


def turned(points: Tensor, root: Tensor | None) -> Tensor:
    """Give points `(..., d_model)` in coordinates in which the metric is the plain one; None: they are so already."""
    return points.double().cpu() if root is None else points.double().cpu() @ root.T


def salience(points: Tensor) -> Tensor:
    """Give the length of the step to each point but the first, `(..., point - 1)`: S[k] = |x[k] - x[k-1]|."""
    lengths: Tensor = points.diff(dim=-2).norm(dim=-1)
    return lengths


def curvature(points: Tensor) -> Tensor:
    """Give how sharply paths `(..., point, d)` bend at each point but the ends, `(..., point - 2)`.

    kappa = sqrt(|a|^2 |v|^2 - <a, v>^2) / |v|^3, with differences over arc length where the steps into and out of a
    point are h and k long: v = (x[+1] - x[-1]) / (h + k) and a = 2 ((x[+1] - x) / k - (x - x[-1]) / h) / (h + k).
    On equal chords of a circle of radius r, each of angle t, this is 1 / (r cos^2(t / 2)). NaN where a step is none.
    """
    steps = points.diff(dim=-2)
    lengths = steps.norm(dim=-1)
    there = lengths > _FLAT * lengths.amax(-1, keepdim=True)
    there = there[..., 1:] & there[..., :-1]
    h, k = lengths[..., :-1, None], lengths[..., 1:, None]
    v = (points[..., 2:, :] - points[..., :-2, :]) / (h + k)
    a = 2 * (steps[..., 1:, :] / k - steps[..., :-1, :] / h) / (h + k)
    across = a - v * ((a * v).sum(-1, keepdim=True) / (v * v).sum(-1, keepdim=True))  # |a|^2 - <a,v>^2 / |v|^2, stably
    bent: Tensor = across.norm(dim=-1) / (v * v).sum(-1)
    return bent.where(there, torch.nan)


def area(steps: Tensor, bends: Tensor, step: Tensor) -> Tensor:
    """Give the share of each step in the semantic surface area, `(..., point - 1)`: A[k] = S[k] + gamma kappa[k].

    gamma is the square of `step`, `(...)`, the mean step of the control: then both have the unit of a length, and the
    area grows with the metric as the length does. The last point has no curvature and counts with its step alone.
    """
    bent = torch.nn.functional.pad(bends.nan_to_num(0.0), (0, 1))
    return steps + step[..., None].square() * bent
