"""How many independent trials a sample is worth. In go verdicts with their concepts and weights, out comes a number.

Unequal weights and trials of the same concept both make a sample worth less than it counts.
"""

import numpy as np
import pandas as pd

from introspect.results.statistics.clustered_rates import within_concepts
from introspect.results.statistics.power_simulation import design_effect


def effective_size(values: pd.Series, concepts: pd.Series | None = None, weights: pd.Series | None = None) -> float:
    """Return n / (1 + cv(weights)^2) / (1 + (m - 1) * icc), the effective sample size of Kish (1987), of verdicts.

    m is the number of trials that a trial shares its concept with, itself counted, on average. The correlation is that
    of `within_concepts`.
    """
    if values.empty:
        return 0.0
    shares = np.ones(len(values)) if weights is None else weights.to_numpy(dtype=float)
    size = float(shares.sum() ** 2 / (shares**2).sum())
    if concepts is None:
        return size
    trials = pd.DataFrame({"concept": concepts.to_numpy(), "value": values.to_numpy(dtype=float)})
    counts = trials["concept"].value_counts()
    per_concept = counts.to_numpy(dtype=float)
    yes = trials.groupby("concept")["value"].sum().reindex(counts.index).to_numpy()
    icc = float(within_concepts(yes, per_concept))
    return size / design_effect(float((per_concept**2).sum() / per_concept.sum()), icc)
