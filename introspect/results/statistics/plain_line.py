"""The line along which an injection moves plain questions, and what it moves beyond it: estimator, error and test.

Model. With logit meaning logit(yes) - logit(no), a plain question whose logit is x without an injection is moved by

    y = intercept + slope * x + noise

An intercept above 0 is a pull towards yes on any question, a slope below 0 compression, a pull of all logits towards
0. The question about noticing has the logit x_d without an injection, and is moved by

    y_d = intercept + slope * x_d + effect + noise

Both must be taken off. In a mean over as many questions whose answer is yes as whose answer is no, compression cancels;
in a question about noticing, whose answer without an injection is no, it does not, and would pass for noticing.

Estimate. Intercept and slope by least squares over the plain questions of all concepts in one arm and cell, and
effect = mean(y_d) - intercept - slope * mean(x_d). x is read before the first draw from one forward pass without an
injection, so it has no error that would flatten the slope.

Standard error. Concepts are independent, the questions of a concept are not: they share its vector. With e the estimate
from G concepts and e_g the one without all trials of concept g, the value of a concept is Tukey's pseudo-value

    v_g = G * e - (G - 1) * e_g

e is linear in y, so the mean of v is as unbiased as e is; var(v) / G is the jackknife variance, which is not too small
on average (Efron and Stein 1981), the CR3 of cluster-robust regression (Bell and McCaffrey 2002). To first order

    v_g = y_d - intercept - slope * x_d - G * sum(w_i * residual_i, over the plain questions i of g)

with w_i the weight of question i in the prediction at x_d: what a concept's vector does to plain questions that stand
where the question about noticing stands is taken off that very concept.

Test. The v are treated as independent values of mean `effect`: t interval with G - 1 degrees of freedom, sign flips.
`benchmarks/statistics.py` has how often both err.
"""

import numpy as np
from numpy.typing import NDArray

PARTS = ("effect", "intercept", "slope")
MOMENTS = ("n", "x", "y", "xx", "xy")
LEAST_QUESTIONS = 10
"""Different plain questions of each answer, yes and no, below which no line is drawn."""

_FLAT = 1e-9
"""Share of the sum of squares below which clean logits are all alike, so that there is no slope."""

_Array = NDArray[np.float64]


def moments(x: _Array, y: _Array) -> _Array:
    """Return what least squares needs of each question: 1, x, y, x * x, x * y, in the order of MOMENTS, last axis."""
    return np.stack([np.ones_like(x), x, y, x * x, x * y], axis=-1)


def line_values(plain: _Array, asked: _Array) -> _Array:
    """Return the pseudo-values of effect, intercept and slope, (part, cell, concept); their means are the estimates.

    `plain` is (cell, concept, moment): the sums of `moments` over the plain questions of a concept. `asked` is (cell,
    concept, 2): the mean of x and of y of its question about noticing. A concept that lacks a plain question or has a
    missing number is left out of its cell and NaN there; so are all where one concept more or less leaves no line.
    """
    there = (plain[..., 0] > 0) & np.isfinite(plain).all(axis=-1) & np.isfinite(asked).all(axis=-1)
    sums = np.where(there[..., None], np.concatenate([plain, asked], axis=-1), 0.0)
    concepts = there.sum(axis=-1, keepdims=True)
    total = sums.sum(axis=-2, keepdims=True)
    whole, without = _estimates(total, concepts), _estimates(total - sums, concepts - 1)
    values = concepts * whole - (concepts - 1) * without
    drawn = (np.isfinite(values) | ~there).all(axis=(0, 2))[:, None]  # one line that cannot be drawn spoils the mean
    return np.where(there & drawn, values, np.nan)


def _estimates(sums: _Array, concepts: NDArray[np.int64]) -> _Array:
    """Return effect, intercept and slope, (part, ...), from sums over concepts of moments and of the asked."""
    n, x, y, xx, xy, asked_x, asked_y = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = xx - x * x / n
        slope = np.where(spread > _FLAT * xx, (xy - x * y / n) / spread, np.nan)
        intercept = (y - slope * x) / n
        effect = (asked_y - slope * asked_x) / concepts - intercept
    return np.stack([effect, intercept, slope])
