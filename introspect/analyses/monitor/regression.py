"""Many logistic regressions of the same states at once: of each fold, and with each strength of the penalty.

Goes in: states, labels, and which items each regression is fitted on. Come out: one linear rule each. All of them share
the two matrix products of a step, which is what makes nested folds at every site of a model affordable.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]
GRADIENT = 1e-3
"""Largest entry of the gradient at which a fit ends; verdicts hang on it in about one item of ten thousand."""
MOST_STEPS = 1000
_FLAT = 1e-12
"""Variance, of that of the widest coordinate, below which a coordinate is left as it is."""


def logistic(
    states: Floats, labels: NDArray[np.int64], inside: NDArray[np.bool_], choices: Floats
) -> tuple[Floats, Floats]:
    """Fit regression j on the items `inside[j]`: class 1 where `states @ weights[j] + intercepts[j]` is above 0.

        minimise  |w|^2 / 2 + C[j] * sum over items of s * log(1 + exp(-y (w z + b)))

    z is the state, standardised over the items fitted on; y is 1 or -1; s makes both classes weigh the same.

    Args:
        states: `(item, d_model)`.
        labels: `(item,)`, 0 or 1.
        inside: `(regression, item)`, with items of both classes in each.
        choices: `(regression,)`, C: the larger, the weaker the penalty.

    Returns:
        weights `(regression, d_model)` and intercepts `(regression,)`.
    """
    (k, _), d, middle = inside.shape, states.shape[1], states.mean(0)
    x, y, s = states - middle, 2.0 * labels - 1, _balanced(labels, inside)
    mean, scale = _standard(x, inside)
    to = np.sqrt(choices)[:, None] / scale  # u = w / sqrt(C): then no regression is much steeper than another

    def loss(flat: Floats) -> tuple[float, Floats]:
        u, b = flat[: k * d].reshape(k, d), flat[k * d :]
        w = u * to
        margin = y * (w @ x.T + (b - (w * mean).sum(1))[:, None])  # (regression, item)
        value = (u**2).sum() / 2 + (s * np.logaddexp(0, -margin)).sum()
        g = -s * y * expit(-margin)
        slope = u + (g @ x - g.sum(1, keepdims=True) * mean) * to
        return float(value), np.concatenate([slope.ravel(), g.sum(1)])

    options = {"gtol": GRADIENT, "ftol": 0.0, "maxiter": MOST_STEPS}
    found = minimize(loss, np.zeros(k * d + k), jac=True, method="L-BFGS-B", options=options).x
    weights = found[: k * d].reshape(k, d) * to
    return weights, found[k * d :] - (weights * mean).sum(1) - weights @ middle


def _balanced(labels: NDArray[np.int64], inside: NDArray[np.bool_]) -> Floats:
    """Return the weight of each item in each regression, `(regression, item)`."""
    n, ones = inside.sum(1, keepdims=True), (inside & (labels == 1)).sum(1, keepdims=True)
    return np.asarray(inside * np.where(labels == 1, n / (2 * ones), n / (2 * (n - ones))))


def _standard(x: Floats, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return mean and deviation of the items of each regression, `(regression, d_model)`."""
    n = inside.sum(1, keepdims=True)
    mean = inside @ x / n
    variance = inside @ x**2 / n - mean**2
    return mean, np.sqrt(np.where(variance > _FLAT * variance.max(), variance, 1.0))
