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
    """Return R, `(d_model, d_model)`, with (R a).(R b) = (U a).(U b) for U of `(vocabulary, d_model)`.

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
    """Return points `(..., d_model)` in coordinates in which the metric is the plain one; None: they are so already."""
    return points.double().cpu() if root is None else points.double().cpu() @ root.T


def salience(points: Tensor) -> Tensor:
    """Return the length of the step to each point but the first, `(..., point - 1)`: S[k] = |x[k] - x[k-1]|."""
    lengths: Tensor = points.diff(dim=-2).norm(dim=-1)
    return lengths


def curvature(points: Tensor) -> Tensor:
    """Return how sharply paths `(..., point, d)` bend at each point but the ends, `(..., point - 2)`.

    Menger's curvature, one over the radius of the circle through the point and its neighbours: 2 sin(t) / c, where the
    path turns by t and the neighbours are c apart. Exactly 1 / r on a circle however its points are spread, and never
    above 2 over the longer step, not even where a path turns back on itself. NaN where a step is none.
    """
    steps = points.diff(dim=-2)
    lengths = steps.norm(dim=-1)
    there = lengths > _FLAT * lengths.amax(-1, keepdim=True)
    there = there[..., 1:] & there[..., :-1]
    h, k = lengths[..., :-1], lengths[..., 1:]
    chord, sine = (points[..., 2:, :] - points[..., :-2, :]).norm(dim=-1), turning(points).sin()
    back = chord <= _FLAT * (h + k)  # steps of one length, there and back: the limit
    bent: Tensor = torch.where(back, 4 / (h + k), 2 * sine / chord.where(~back, 1.0))
    return bent.where(there, torch.nan)


def turning(points: Tensor) -> Tensor:
    """Return the angle between the steps into and out of each point but the ends, radians, `(..., point - 2)`.

    By Kahan's formula, which loses no digits where the angle is near 0 or pi.
    """
    units = torch.nn.functional.normalize(points.diff(dim=-2), dim=-1)
    into, out = units[..., :-1, :], units[..., 1:, :]
    angle: Tensor = 2 * torch.atan2((into - out).norm(dim=-1), (into + out).norm(dim=-1))
    return angle


def area(points: Tensor, gauge: Tensor) -> Tensor:
    """Return the share of each step in the semantic surface area, `(..., point - 1)`: A[k] = S[k] + gauge * turned[k].

    After Curved Inference, which adds curvature to length point by point; the sum then hangs on how many points there
    are. Here it is the integral of 1 + gauge * curvature over the arc, whose curvature part is the angle by which the
    path has turned, so that more points on the same path change nothing but rounding. `gauge`, `(...)`, is a length:
    how far the control's last point is from its first. The last step has no turn behind it.
    """
    turned_by = torch.nn.functional.pad(turning(points), (0, 1))
    return salience(points) + gauge[..., None] * turned_by
