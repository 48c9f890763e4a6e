"""Probes: what can be read from states by a linear rule, never from the items that it was fitted on.

Goes in: states, labels and groups. Come out: for each item the answer of a probe fitted without any item of its group.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from introspect.analyses.monitor.regression import Floats, logistic
from introspect.errors import InputError

Labels = NDArray[np.int64]
Groups = NDArray[np.int64]
ProbeKind = Literal["logistic", "means"]
KINDS: tuple[ProbeKind, ...] = ("logistic", "means")
"""`logistic`: logistic regression on standardised states. `means`: along the difference of the two classes' means."""
FOLDS, INNER = 5, 3
"""Parts into which questions are split, and those into which the training part is split again."""
MOST_FITTED = 1000
"""Items on which one probe is fitted; more take time and change little."""
REGULARISATIONS = (0.001, 0.01, 0.1)
"""Choices of C: the larger, the weaker the penalty."""


@dataclass(frozen=True)
class Probes:
    """Probes of one site, one for each fold that was left out; each a linear rule."""

    weights: Floats
    """`(fold, d_model)`."""
    intercepts: Floats
    """`(fold,)`; class 1 where the state times the weights is above minus this."""

    def say(self, states: Floats, place: Labels) -> Labels:
        """Return the class of each item, `(item,)`, by the probe that was fitted without the item's fold."""
        said: Floats = (states * self.weights[place]).sum(1) + self.intercepts[place]
        return (said > 0).astype(np.int64)


@dataclass(frozen=True)
class CrossFit:
    """What was fitted at one site."""

    probes: Probes
    inner: Floats
    """`(fold,)`: accuracy of the probe's kind within the training part, by its own folds; no test item is in it."""
    said: Labels
    """`(item,)`: class by the probe that was fitted without the item's fold."""


def split(labels: Labels, groups: Groups, seed: int, *, folds: int = FOLDS) -> NDArray[np.int64]:
    """Return the fold of each item: groups are never parted, classes are spread evenly.

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


def cross_fit(states: Floats, labels: Labels, groups: Groups, place: Labels, kind: ProbeKind) -> CrossFit:
    """Fit a probe for each fold on the others, at most MOST_FITTED items, and let it say the class of those in it.

    The penalty of each is chosen by folds within the items it is fitted on. All fits are made at once.
    """
    nested, choices = _nested(labels.tobytes(), groups.tobytes(), place.tobytes()), _CHOICES[kind]
    folds = np.arange(len(nested))
    trained = np.stack([nested >= 0, *((nested >= 0) & (nested != part) for part in range(INNER))], 1)
    problems = np.repeat(trained[:, :, None], len(choices), 2)  # (fold, all or all but a part, choice, item)
    c = np.broadcast_to(np.array(choices), problems.shape[:3]).ravel()
    weights, intercepts = FITS[kind](states, labels, problems.reshape(-1, len(labels)), c)
    said = (weights @ states.T + intercepts[:, None] > 0).reshape(problems.shape)
    right = said[:, 1:] == labels
    tested = np.stack([nested == part for part in range(INNER)], 1)[:, :, None]
    scores = (right & tested).sum((1, 3)) / (nested >= 0).sum(1)[:, None]  # (fold, choice)
    best = scores.argmax(1)
    chosen = np.arange(len(c)).reshape(problems.shape[:3])[folds, 0, best]
    probes = Probes(weights[chosen], intercepts[chosen])
    return CrossFit(probes, scores[folds, best], probes.say(states, place))


def means_probe(states: Floats, labels: Labels, inside: NDArray[np.bool_], _: Floats) -> tuple[Floats, Floats]:
    """Return difference of the means of both classes, and minus the middle between them along it, of each problem."""
    ones, zeros = ((inside & (labels == value)).astype(np.float64) for value in (1, 0))
    one, zero = (each @ states / each.sum(1, keepdims=True) for each in (ones, zeros))
    return one - zero, -((one - zero) * (one + zero)).sum(1) / 2


FITS: dict[ProbeKind, Callable[..., tuple[Floats, Floats]]] = {"logistic": logistic, "means": means_probe}
"""From states, labels, the items each problem is fitted on and its C to weights and intercepts."""
_CHOICES: dict[ProbeKind, tuple[float, ...]] = {"logistic": REGULARISATIONS, "means": (1.0,)}


def shuffled(labels: Labels, groups: Groups, seed: Sequence[int]) -> Labels:
    """Deal the labels out anew; a probe of these is at chance unless something leaks between the folds.

    Items of a group are alike, so labels stay together: groups of one size exchange theirs, then each deals its own out
    within. What depends on the group alone thus has as many ones as before.
    """
    rng, dealt = np.random.default_rng(seed), np.empty_like(labels)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    for size in sorted({len(each) for each in members}):
        alike = [each for each in members if len(each) == size]
        for place, source in zip(alike, rng.permutation(len(alike)), strict=True):
            dealt[place] = rng.permutation(labels[alike[source]])
    return dealt


def thresholds(values: Floats, labels: Labels, place: Labels) -> Labels:
    """Say the class of each item, `(item,)`, by the threshold of `values` that is best on the items of other folds.

    Class 1 lies above it. Of thresholds that are equally good the middle one is taken.
    """
    said = np.zeros(len(labels), dtype=np.int64)
    for fold in np.unique(place):
        order = np.sort(values[place != fold])
        choices = np.concatenate([[-np.inf], (order[1:] + order[:-1]) / 2, [np.inf]])
        right = ((values[place != fold] > choices[:, None]) == labels[place != fold]).sum(1)
        best = np.flatnonzero(right == right.max())
        said[place == fold] = values[place == fold] > choices[best[len(best) // 2]]
    return said


@lru_cache(maxsize=8)
def _nested(labels: bytes, groups: bytes, place: bytes) -> Labels:
    """Split the items that each fold is fitted on again, `(fold, item)`, -1 for those it is not; the same at all sites.

    Raises InputError where they cannot be split.
    """
    y, group, fold = (np.frombuffer(each, dtype=np.int64) for each in (labels, groups, place))
    rng, parts = np.random.default_rng(0), np.full((fold.max() + 1, len(y)), -1)
    for number, row in enumerate(parts):
        inside = rng.permutation(np.flatnonzero(fold != number))[:MOST_FITTED]
        row[inside] = split(y[inside], group[inside], 0, folds=INNER)
    return parts
