"""How spread out the states of one text are: the entropy of the spectrum of their Gram matrix.

Goes in: states of a batch. Comes out: a number a text, in nats.
"""

import torch
from torch import Tensor


def matrix_entropy(states: Tensor, mask: Tensor) -> Tensor:
    """Return -sum p log p of each text, `(row, position, d_model)` to `(row,)`, padding left out.

    p are the eigenvalues of the Gram matrix of the states, scaled to sum to 1 (the limit of order 1 of the entropy of
    Skean et al. 2025, "Layer by Layer"): 0 when all states lie on one line, log n when n states of equal norm are
    orthogonal.
    """
    z = states.double() * mask[..., None]
    smaller = z @ z.mT if z.shape[1] <= z.shape[2] else z.mT @ z  # both have the same eigenvalues but for zeros
    eigenvalues = torch.linalg.eigvalsh(smaller).clamp(min=0)
    entropy: Tensor = torch.special.entr(eigenvalues / eigenvalues.sum(-1, keepdim=True)).sum(-1)
    return entropy
