"""Probes: what can be read from states by a linear rule, never from the items that it was fitted on.

Goes in: states, labels and groups. Come out: for each item the answer of a probe fitted without any item of its group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from introspect.errors import InputError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Groups = NDArray[np.int64]
Kind = Literal["logistic", "means"]
KINDS: tuple[Kind, ...] = ("logistic", "means")
"""`logistic`: logistic regression on standardised states. `means`: along the difference of the two classes' means."""
FOLDS, INNER = 5, 3
"""Parts into which questions are split, and those into which the training part is split again."""
MOST_FITTED = 1000
"""Items on which one probe is fitted; more take time and change little."""
REGULARISATIONS = (0.001, 0.01, 0.1)
"""Choices of scikit-learn's C: the larger, the weaker."""


class Fitted(Protocol):
    """A probe that was fitted."""

    def predict(self, states: Floats, /) -> Labels:
        """Give the class of each row, 0 or 1."""


@dataclass(frozen=True)
class MeanDifference:
    """Class 1 where the state lies on its mean's side of the middle between both means."""

    direction: Floats
    middle: float

    @classmethod
    def fit(cls, states: Floats, labels: Labels) -> "MeanDifference":
        """Take the difference of the means of both classes, and the middle between them along it."""
        ones, zeros = states[labels == 1].mean(0), states[labels == 0].mean(0)
        return cls(ones - zeros, float((ones - zeros) @ (ones + zeros) / 2))

    def predict(self, states: Floats, /) -> Labels:
        """Give the class of each row, 0 or 1."""
        return (states @ self.direction > self.middle).astype(np.int64)


@dataclass(frozen=True)
class CrossFit:
    """Probes of one site, one for each fold that was left out."""

    probes: tuple[Fitted, ...]
    inner: Floats
    """`(fold,)`: accuracy of the probe's kind within the training part, by its own folds; no test item is in it."""
    said: Labels
    """`(item,)`: class by the probe that was fitted without the item's fold."""


def split(labels: Labels, groups: Groups, seed: int, *, folds: int = FOLDS) -> NDArray[np.int64]:
    """Give the fold of each item: groups are never parted, classes are spread evenly.

    Raises InputError where a class is missing outside of some fold.
    """
    place = np.zeros(len(labels), dtype=np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(splitter.split(labels, labels, groups)):
        place[test] = fold
    for fold in range(folds):
        if len(set(labels[place != fold].tolist())) < 2:
            raise InputError(
                f"{len(set(groups.tolist()))} questions cannot be split: all items outside of a part agree"
            )
    return place


def cross_fit(states: Floats, labels: Labels, groups: Groups, place: NDArray[np.int64], kind: Kind) -> CrossFit:
    """Fit a probe for each fold on the others, at most MOST_FITTED items, and let it say the class of those in it."""
    said, probes, inner, rng = np.zeros(len(labels), dtype=np.int64), [], [], np.random.default_rng(0)
    for fold in range(place.max() + 1):
        inside, tested = rng.permutation(np.flatnonzero(place != fold))[:MOST_FITTED], place == fold
        probe, score = fit(states[inside], labels[inside], groups[inside], kind)
        said[tested] = probe.predict(states[tested])
        probes.append(probe)
        inner.append(score)
    return CrossFit(tuple(probes), np.array(inner), said)


def transferred(probes: Sequence[Fitted], states: Floats, place: NDArray[np.int64]) -> Labels:
    """Let the probes of another site say the class of each item, again none that was fitted on its fold."""
    said = np.zeros(len(states), dtype=np.int64)
    for fold, probe in enumerate(probes):
        said[place == fold] = probe.predict(states[place == fold])
    return said


def fit(states: Floats, labels: Labels, groups: Groups, kind: Kind) -> tuple[Fitted, float]:
    """Fit a probe, its regularisation chosen by folds within these items; give the accuracy in these folds too."""
    place = split(labels, groups, 0, folds=INNER)
    choices = REGULARISATIONS if kind == "logistic" else (1.0,)
    scores = [_inner(states, labels, place, kind, choice) for choice in choices]
    best = int(np.argmax(scores))
    return _fitted(states, labels, kind, choices[best]), scores[best]


def shuffled(labels: Labels, seed: Sequence[int]) -> Labels:
    """Deal the labels out anew; a probe of these is at chance unless something leaks between the folds."""
    return np.random.default_rng(seed).permutation(labels)


def _inner(states: Floats, labels: Labels, place: NDArray[np.int64], kind: Kind, choice: float) -> float:
    right = 0
    for fold in range(place.max() + 1):
        inside = place != fold
        said = _fitted(states[inside], labels[inside], kind, choice).predict(states[~inside])
        right += int((said == labels[~inside]).sum())
    return right / len(labels)


def _fitted(states: Floats, labels: Labels, kind: Kind, choice: float) -> Fitted:
    if kind == "means":
        return MeanDifference.fit(states, labels)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=choice, max_iter=5000, class_weight="balanced"))
    fitted: Fitted = probe.fit(states, labels)
    return fitted
