"""Which tokens come to rest, which go round, and which drift on: classes of the paths of single tokens.

Goes in: the cosine of a token's state at each recurrence with that at the last one. Comes out: a class a token.
"""

import torch
from torch import Tensor

CLASSES = ("fixed point", "orbit", "slider", "unknown")
TAU, FRACTION = 0.05, 0.9
"""Of Blayney et al. (2026), Algorithm 1: how near the end is, and the share of recurrences that must be near."""


def classify(cosines: Tensor, *, tau: float = TAU, fraction: float = FRACTION) -> Tensor:
    """Return the number of each path's class, `(..., recurrence)` to `(...)`.

    The thresholds are published, the rules for orbit and slider are only described; these are ours. With
    d_t = 1 - cos(X_t, X_T), which is 0 at the last recurrence T, so that a class is one of T recurrences: a path that
    is a slider for 8 of them may be a fixed point for 64.

    - fixed point: d_t <= tau at no less than `fraction` of the recurrences.
    - orbit: else, and the path is near the end (d <= tau), then away (d > 2 tau) within the last half of the
      recurrences, and near again at the last one. It leaves the place where it ends, and comes back to it.
    - slider: else, and the path approaches its end steadily and is still on its way there at half time: within the
      last half d never rises by more than tau above its lowest so far, and the angle arccos(1 - d) at half time is at
      least a quarter of the largest on the whole path (of steady motion it is about half).
    - unknown: else. Paths that wander, and those that come to rest, but later than `fraction` allows.
    """
    apart = 1 - cosines.double()
    near, half = apart <= tau, apart[..., apart.shape[-1] // 2 :]
    fixed = near.double().mean(-1) >= fraction
    orbit = _leaves_again(near, apart > 2 * tau)
    steady = (half - half.cummin(-1).values).amax(-1) <= tau
    angles = torch.arccos((1 - apart).clamp(-1, 1))
    slider = steady & (angles[..., apart.shape[-1] // 2] >= angles.amax(-1) / 4)
    numbers = torch.full(fixed.shape, CLASSES.index("unknown"))
    for name, members in (("slider", slider), ("orbit", orbit), ("fixed point", fixed)):
        numbers[members] = CLASSES.index(name)
    return numbers


def _leaves_again(near: Tensor, away: Tensor) -> Tensor:
    """Tell which paths are away at some time within the last half, and were near before."""
    been_near = near.long().cummax(-1).values.bool()
    middle = near.shape[-1] // 2
    return (been_near & away)[..., middle:].any(-1)
