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
    place: Labels
    kind: ProbeKind
    seed: int
    scoring: Scoring

    @classmethod
    def of(cls, items: Sequence[Item], kind: ProbeKind, seed: int) -> "Probing":
        """Number the questions and split them. Raises InputError where they cannot be."""
        labels = np.array([item.correct for item in items], dtype=np.int64)
        groups = pd.factorize(pd.Series([item.group for item in items]))[0].astype(np.int64)
        scoring = Scoring.of(labels.astype(float), groups, seed)
        return cls(labels, groups, split(labels, groups, seed), kind, seed, scoring)

    def fit(self, states: Floats) -> CrossFit:
        """Fit probes on the labels."""
        return cross_fit(states, self.labels, self.groups, self.place, self.kind)

    def control(self, states: Floats, dealt: Labels) -> CrossFit:
        """Fit probes on labels that were dealt out anew."""
        return cross_fit(states, dealt, self.groups, split(dealt, self.groups, self.seed), self.kind)

    def dealt(self, *number: int) -> Labels:
        """Deal the labels out anew, for each number in another way."""
        return shuffled(self.labels, self.groups, [self.seed, *number])


def ends(probing: Probing, states: States, total: int, layers: Sequence[int]) -> dict[str, Array]:
    """Probe the ends of a number of loops: `said` `(layer, item)`, `inner` `(layer, fold)`."""
    fitted = [probing.fit(states.at(Site(total - 1, layer))) for layer in layers]
    said, inner = ([getattr(each, name) for each in fitted] for name in ("said", "inner"))
    return {"said": np.stack(said), "inner": np.stack(inner)}


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
    """Probe all loops of a layer, `(loop, item or fold)`; `transfer` is what the probes of a loop say after each."""
    there = [states.at(Site(loop, layer)) for loop in loops]
    fitted = [probing.fit(each) for each in there]
    said, inner = ([getattr(each, name) for each in fitted] for name in ("said", "inner"))
    controls = [probing.control(each, probing.dealt(loop, layer)).said for loop, each in zip(loops, there, strict=True)]
    transfer = [[each.probes.say(other, probing.place) for other in there] for each in fitted]
    arrays = {"said": said, "inner": inner, "control": controls, "transfer": transfer}
    return {name: np.array(array) for name, array in arrays.items()}


def of_best_layer(fitted: Sequence[CrossFit], place: Labels) -> Labels:
    """Take the best layer of each fold from probes of one site per layer, `(item,)`."""
    return by_best_layer(np.stack([each.inner for each in fitted]), np.stack([each.said for each in fitted]), place)


def by_best_layer(inner: Floats, said: Labels, place: Labels) -> Labels:
    """Take for each fold the layer whose probes did best within the training part, and what that one says in it.

    `inner` is `(layer, fold)`, `said` `(layer, item)`, `place` the fold of each item.
    """
    return np.asarray(said[inner.argmax(0)[place], np.arange(len(place))])
