"""A probe that names the concept from what the cache holds, tested on trials of another kind than it was trained on.

Goes in: changes of keys and values. Comes out: how often the right concept is named, per injected site and site read,
beside probes that were trained on shuffled names.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from introspect.analyses.trajectory.cache_memory import Remembered
from introspect.analyses.trajectory.tables import mean_by_concept, rated

Probe = Literal["means", "logistic"]
"""`means`: the concept whose mean change points most alike. `logistic`: logistic regression over all concepts."""
SHUFFLES = 5
"""Probes with shuffled names that are averaged."""

Features = NDArray[np.float64]
Names = NDArray[np.int64]
Fit = Callable[[Features, Names, Features], Names]
"""From training features and names, and features to be named, to names."""


def by_means(train: Features, names: Names, test: Features) -> Names:
    """Name the class whose mean has the highest cosine; of equals, the first."""
    means = unit(np.stack([train[names == name].mean(0) for name in np.unique(names)]))
    return np.asarray(np.unique(names)[(test @ means.T).argmax(1)])


def by_regression(train: Features, names: Names, test: Features) -> Names:
    """Name by logistic regression with its usual penalty."""
    if not train.any():  # nothing to learn from: one name for all
        return np.full(len(test), names.min())
    return np.asarray(LogisticRegression(max_iter=1000).fit(train, names).predict(test))


PROBES: dict[Probe, Fit] = {"means": by_means, "logistic": by_regression}


def probed(found: Remembered, probe: Probe, seed: int) -> pd.DataFrame:
    """Probe every site for every injected one: rate of concepts that are named rightly, over held-out trials.

    Held out is one (strength, wording) at a time; trained is on the trials that share neither with it (nor the one of
    which there is only one). `shuffled` is the rate of probes trained on shuffled names, `chance` one over the
    concepts, `share` the norm of the change over that of the control's keys and values.
    """
    rng, rows = np.random.default_rng(seed), []
    for sites, index in found.trials.groupby("sites", sort=False).indices.items():
        trials = found.trials.iloc[index].reset_index(drop=True)
        names = trials["concept"].astype("category").cat.codes.to_numpy().astype(np.int64)
        for place, site in enumerate(found.sites):
            features = unit(found.changes[index, place].astype(np.float64))
            right = _right(PROBES[probe], features, names, trials)
            shuffled = [_right(PROBES[probe], features, names, trials, rng) for _ in range(SHUFFLES)]
            concepts = trials["concept"]
            rate = rated(mean_by_concept(right[:, None], concepts), concepts.nunique())
            control = mean_by_concept(np.mean(shuffled, axis=0)[:, None], concepts)
            chance, share = 1 / concepts.nunique(), mean_by_concept(found.shares[index, place][:, None], concepts)
            said = {"stage": site.stage, "layer": site.layer, "loop": site.loop if site.stage == "core" else None}
            numbers = {**rate, "trials": len(trials), "shuffled": control, "chance": chance, "share": share}
            single = {name: np.asarray(value).item() for name, value in numbers.items()}
            rows.append({"sites": sites, "site": str(site), **said, **single})
    table = pd.DataFrame(rows)
    return table.assign(loop=table["loop"].astype("Int64"))


def folds(trials: pd.DataFrame) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield which trials are trained on and which are tested, for each strength and wording in turn."""
    for kind in trials[["strength", "wording"]].drop_duplicates().itertuples():
        same = {"strength": trials["strength"] == kind.strength, "wording": trials["wording"] == kind.wording}
        train = pd.Series(True, index=trials.index)
        for name, alike in same.items():
            if trials[name].nunique() > 1:
                train &= ~alike
        yield train.to_numpy(), (same["strength"] & same["wording"]).to_numpy()


def unit(vectors: Features) -> Features:
    """Return vectors `(n, d)` the length one; zero stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0))


def _right(
    fit: Fit, features: Features, names: Names, trials: pd.DataFrame, shuffle: np.random.Generator | None = None
) -> Features:
    """Return for each trial whether it is named rightly by the probe that was not trained on its kind."""
    right = np.full(len(names), np.nan)
    for train, test in folds(trials):
        taught = names[train] if shuffle is None else shuffle.permutation(names[train])
        right[test] = fit(features[train], taught, features[test]) == names[test]
    return right
