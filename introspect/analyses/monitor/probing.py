"""Probes of the items of a task: at the ends of a number of loops, at all loops of a layer, and of shuffled labels.

Goes in: items, and the states of what was judged. Come out: what each probe says of each item.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from introspect.analyses.kept_units import Array
from introspect.analyses.monitor.ask import States
from introspect.analyses.monitor.probes import CrossFit, Groups, Labels, ProbeKind, cross_fit, shuffled, split
from introspect.analyses.monitor.refits import REFITS, Refits
from introspect.analyses.monitor.regression import Floats
from introspect.analyses.monitor.scores import Scoring
from introspect.analyses.monitor.tasks import Item
from introspect.records.trial import Site

DEALS = 10
"""How often labels are dealt out anew for the control of a monitor."""


@dataclass(frozen=True)
class Probing:
    """How probes are fitted on the items of a task, and scored."""

    labels: Labels
    groups: Groups
    places: Labels
    """`(split, item)`: the fold of each item in each split."""
    kind: ProbeKind
    seed: int
    scoring: Scoring

    @classmethod
    def of(cls, items: Sequence[Item], kind: ProbeKind, seed: int) -> "Probing":
        """Number the questions and split them. Raises InputError where they cannot be."""
        labels = np.array([item.correct for item in items], dtype=np.int64)
        groups = pd.factorize(pd.Series([item.group for item in items]))[0].astype(np.int64)
        scoring = Scoring.of(labels.astype(float), groups, seed)
        seeds = np.random.default_rng(seed).integers(2**31, size=REFITS).tolist()
        places = np.stack([split(labels, groups, each) for each in seeds])
        return cls(labels, groups, places, kind, seed, scoring)

    @property
    def refits(self) -> Refits:
        """Return what scores verdicts that were fitted in each split."""
        return Refits(self.scoring, self.places)

    def fit(self, states: Floats, number: int = 0) -> CrossFit:
        """Fit probes on the labels, in one of the splits."""
        return cross_fit(states, self.labels, self.groups, self.places[number], self.kind)

    def control(self, states: Floats, dealt: Labels) -> CrossFit:
        """Fit probes on labels that were dealt out anew."""
        return cross_fit(states, dealt, self.groups, split(dealt, self.groups, self.seed), self.kind)

    def dealt(self, *number: int) -> Labels:
        """Deal the labels out anew, for each number in another way."""
        return shuffled(self.labels, self.groups, [self.seed, *number])


def ends(probing: Probing, states: States, total: int, layers: Sequence[int]) -> dict[str, Array]:
    """Probe the ends of a number of loops in each split: `said` `(split, item)`, the layer chosen in each fold."""
    at = [states.at(Site(total - 1, layer)) for layer in layers]
    said = [of_best_layer([probing.fit(each, n) for each in at], place) for n, place in enumerate(probing.places)]
    return {"said": np.stack(said)}


def shuffled_ends(probing: Probing, states: States, total: int, layers: Sequence[int]) -> dict[str, Array]:
    """Probe the ends for labels that are dealt out anew: `said` `(deal, item)`, the layer chosen in each deal."""
    said, at = [], [states.at(Site(total - 1, layer)) for layer in layers]
    for deal in range(DEALS):
        dealt = probing.dealt(deal)
        place = split(dealt, probing.groups, probing.seed)
        fitted = [probing.control(each, dealt) for each in at]
        said.append(of_best_layer(fitted, place))
    return {"said": np.stack(said)}


def everywhere(probing: Probing, states: States, loops: Sequence[int], layer: int) -> dict[str, Array]:
    """Probe all loops of a layer in one split, `(loop, item)`; `transfer`: what the probes of a loop say after each."""
    there = [states.at(Site(loop, layer)) for loop in loops]
    fitted = [probing.fit(each) for each in there]
    controls = [probing.control(each, probing.dealt(loop, layer)).said for loop, each in zip(loops, there, strict=True)]
    transfer = [[each.probes.say(other, probing.places[0]) for other in there] for each in fitted]
    arrays = {"said": [each.said for each in fitted], "control": controls, "transfer": transfer}
    return {name: np.array(array) for name, array in arrays.items()}


def of_best_layer(fitted: Sequence[CrossFit], place: Labels) -> Labels:
    """Take for each fold the layer whose probes did best within the training part, and what that one says in it.

    One site per layer is fitted; `place` is the fold of each item.
    """
    inner, said = np.stack([each.inner for each in fitted]), np.stack([each.said for each in fitted])
    return np.asarray(said[inner.argmax(0)[place], np.arange(len(place))])
