"""The monitors over the loops run: task performance, what the model says of answers, and what its states know.

Goes in: a Tap, items, numbers of loops. Come out: tables of curves, gaps, the map over sites, transfer across loops.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from introspect.analyses.monitor.asking import Floats, Judged, judge, solve
from introspect.analyses.monitor.probes import CrossFit, Groups, Kind, Labels, cross_fit, shuffled, split, transferred
from introspect.analyses.monitor.scores import Scoring, constant
from introspect.analyses.monitor.tasks import Item
from introspect.models.tap import Tap
from introspect.records import Site
from introspect.results.statistics.clusters import Estimate

MEASURES = ("accuracy", "f1")
MONITORS = {
    "task": "task: right answer chosen",
    "task-words": "task: right answer said",
    "language": "language monitor (logits)",
    "language-words": "language monitor (words)",
    "representation": "representation monitor (probe)",
    "shuffled": "probe of shuffled labels",
    "constant": "constant answer",
}


@dataclass(frozen=True)
class Found:
    """What was found on one task; a table each, with n, questions and interval."""

    curves: pd.DataFrame
    """By loops run, monitor and measure."""
    gap: pd.DataFrame
    """Representation monitor less language monitor, by loops run and measure."""
    sites: pd.DataFrame
    """Probes at each (loop, layer) of the largest number of loops, and of shuffled labels."""
    transfer: pd.DataFrame
    """Accuracy of probes fitted after one loop and tested after another, at the same layer."""


@dataclass(frozen=True)
class Probing:
    """How probes are fitted on the items of a task, and scored."""

    labels: Labels
    groups: Groups
    place: Labels
    kind: Kind
    seed: int
    scoring: Scoring

    @classmethod
    def of(cls, items: Sequence[Item], kind: Kind, seed: int) -> "Probing":
        """Number the questions and split them. Raises InputError where they cannot be."""
        labels = np.array([item.correct for item in items], dtype=np.int64)
        groups = pd.factorize(pd.Series([item.group for item in items]))[0].astype(np.int64)
        scoring = Scoring.of(labels.astype(float), groups, seed)
        return cls(labels, groups, split(labels, groups, seed), kind, seed, scoring)

    def fit(self, states: Floats) -> CrossFit:
        """Fit probes on the labels."""
        return cross_fit(states, self.labels, self.groups, self.place, self.kind)

    def control(self, states: Floats, site: Site) -> tuple[Scoring, Floats]:
        """Fit probes on labels that are dealt out anew; give what to score them with, and what they say."""
        dealt = shuffled(self.labels, [self.seed, site.loop, site.layer])
        said = cross_fit(states, dealt, self.groups, split(dealt, self.groups, self.seed), self.kind).said
        return Scoring(dealt.astype(float), self.groups, self.scoring.weights), said.astype(float)


def curves(
    tap: Tap,
    items: Sequence[Item],
    totals: Sequence[int],
    layers: Sequence[int],
    *,
    kind: Kind,
    seed: int,
    size: int,
) -> Found:
    """Run the items with each number of loops, and probe the last loop of each, of the most loops all of them."""
    probing, most = Probing.of(items, kind, seed), max(totals)
    lines, gaps = [], []
    for total in totals:
        loops = range(total) if total == most else range(total - 1, total)
        sites = [Site(loop, layer) for loop in loops for layer in layers]
        judged = judge(tap, items, total, sites, size=size)
        ends = [Site(total - 1, layer) for layer in layers]
        fitted = {site: probing.fit(judged.states.at(site)) for site in ends}
        probed = by_best_layer(fitted, probing.place).astype(float)
        language = {"language": (judged.difference > 0).astype(float), "language-words": judged.words}
        said = {**language, "representation": probed}
        lines += list(_lines(total, said, probing, judged, ends))
        lines += list(_solved(tap, items, total, size=size, seed=seed))
        gaps += [
            _row(probing.scoring.gap(measure, probed, language["language"]), len(items), loops=total, measure=measure)
            for measure in MEASURES
        ]
        if total == most:
            maps, across = _of_sites(probing, judged, sites, fitted)
    return Found(pd.DataFrame(lines), pd.DataFrame(gaps), maps, across)


def by_best_layer(fitted: Mapping[Site, CrossFit], place: Labels) -> Labels:
    """Take for each fold the layer whose probes did best within the training part, and what that one says in it."""
    sites = list(fitted)
    best = np.argmax([fitted[site].inner for site in sites], axis=0)
    said = np.zeros(len(place), dtype=np.int64)
    for fold, choice in enumerate(best):
        said[place == fold] = fitted[sites[choice]].said[place == fold]
    return said


def _lines(
    total: int, said: Mapping[str, Floats], probing: Probing, judged: Judged, ends: Sequence[Site]
) -> Iterator[dict[str, object]]:
    n = len(probing.labels)
    control, dealt = probing.control(judged.states.at(ends[-1]), ends[-1])
    for measure in MEASURES:
        score = {"accuracy": probing.scoring.accuracy, "f1": probing.scoring.f1}[measure]
        for monitor, verdicts in said.items():
            yield _row(score(verdicts), n, loops=total, monitor=monitor, measure=measure)
        score = {"accuracy": control.accuracy, "f1": control.f1}[measure]
        yield _row(score(dealt), n, loops=total, monitor="shuffled", measure=measure)
        always = Estimate(constant(measure, probing.scoring.truth), np.nan, np.nan, probing.scoring.weights.shape[1])
        yield _row(always, n, loops=total, monitor="constant", measure=measure)


def _solved(tap: Tap, items: Sequence[Item], total: int, *, size: int, seed: int) -> Iterator[dict[str, object]]:
    questions = list({item.question: item for item in items if item.correct}.values())
    solved = solve(tap, questions, [item.answer for item in items], total, size=size)
    groups = pd.factorize(pd.Series([item.group for item in questions]))[0].astype(np.int64)
    scoring = Scoring.of(np.ones(len(questions)), groups, seed)
    for monitor, right in (("task", solved.chosen), ("task-words", solved.words)):
        estimate = scoring.accuracy(right)
        if np.isnan(right).all():
            estimate = Estimate(np.nan, np.nan, np.nan, estimate.concepts)
        yield _row(estimate, len(questions), loops=total, monitor=monitor, measure="accuracy")


def _of_sites(
    probing: Probing, judged: Judged, sites: Sequence[Site], known: Mapping[Site, CrossFit]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Probe every site, and test the probes of each loop after all others."""
    fitted = {site: known[site] if site in known else probing.fit(judged.states.at(site)) for site in sites}
    rows, across, n = [], [], len(probing.labels)
    for site in sites:
        states, where = judged.states.at(site), {"loop": site.loop, "layer": site.layer}
        said = fitted[site].said.astype(float)
        control, dealt = probing.control(states, site)
        for measure in MEASURES:
            scores = {"accuracy": (probing.scoring.accuracy, control.accuracy)}
            scores["f1"] = probing.scoring.f1, control.f1
            score, score_control = scores[measure]
            rows.append(_row(score(said), n, **where, labels="true", measure=measure))
            rows.append(_row(score_control(dealt), n, **where, labels="shuffled", measure=measure))
        for other in (each for each in sites if each.layer == site.layer):
            tested = transferred(fitted[other].probes, states, probing.place).astype(float)
            estimate = probing.scoring.accuracy(tested)
            across.append(_row(estimate, n, layer=site.layer, trained_loop=other.loop, tested_loop=site.loop))
    return pd.DataFrame(rows), pd.DataFrame(across)


def _row(estimate: Estimate, n: int, **where: object) -> dict[str, object]:
    found = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {**where, "n": n, "questions": estimate.concepts, **found}
