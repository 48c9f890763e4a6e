"""The monitors over the loops run: task performance, what the model says of answers, and what its states know.

Goes in: a Tap, items, numbers of loops. Come out: tables of curves, gaps, the map over sites, transfer across loops.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from introspect.analyses.kept_units import Array, Keeping
from introspect.analyses.monitor.ask import judge_items, solve
from introspect.analyses.monitor.probes import ProbeKind, thresholds
from introspect.analyses.monitor.probing import Probing, ends, everywhere, shuffled_ends
from introspect.analyses.monitor.refits import REFITS, scored
from introspect.analyses.monitor.regression import Floats
from introspect.analyses.monitor.scores import Scoring, constant, over_deals
from introspect.analyses.monitor.tasks import Item
from introspect.models.tap import Tap
from introspect.records.trial import Site
from introspect.results.statistics.clusters import Estimate

SCORE_MEASURES = ("accuracy", "f1")
MONITORS = {
    "task": "task: right answer chosen",
    "task-words": "task: right answer said",
    "language": "language monitor (logits)",
    "language-fitted": "language monitor (threshold fitted)",
    "language-words": "language monitor (words)",
    "representation": "representation monitor (probe)",
    "shuffled": "probe of shuffled labels",
    "constant": "constant answer",
}


@dataclass(frozen=True)
class Found:
    """What was found on one task; a table each, with n, questions and interval."""

    curves: pd.DataFrame
    """By loops run, monitor and measure: of `n` items that were answered, and `unknown` that were not."""
    gap: pd.DataFrame
    """Representation monitor less language monitor with a threshold fitted in the same folds, by loops and measure."""
    sites: pd.DataFrame
    """Probes at each (loop, layer) of the largest number of loops, and of shuffled labels; intervals of one fit."""
    transfer: pd.DataFrame
    """Accuracy of probes fitted after one loop and tested after another, at the same layer; intervals of one fit."""


def curves(
    tap: Tap,
    items: Sequence[Item],
    totals: Sequence[int],
    layers: Sequence[int],
    *,
    kind: ProbeKind,
    seed: int,
    size: int,
    keep: Keeping,
    task: str = "",
) -> Found:
    """Run the items with each number of loops, and probe the last loop of each, of the most loops all of them.

    `task` is what the items are called; `size` the rows of a batch.
    """
    probing, most = Probing.of(items, kind, seed), max(totals)
    loops = {total: range(total) if total == most else range(total - 1, total) for total in totals}
    sites = {total: [Site(loop, layer) for loop in loops[total] for layer in layers] for total in totals}
    judged = judge_items(tap, items, sites, size=size, keep=keep, task=task)
    lines, gaps = list(_solved(tap, items, totals, size=size, seed=seed, keep=keep, task=task)), []
    keep.begin(f"sets of probes to fit {task}".rstrip(), 2 * len(totals) + len(layers))
    about = [(item.question, item.answer, item.correct) for item in items]
    asked = {"items": about, "probe": kind, "seed": seed, "splits": REFITS}
    states = {total: each.states for total, each in judged.items()}
    read = {
        layer: keep.unit(partial(everywhere, probing, states[most], range(most), layer), layer=layer, **asked).arrays()
        for layer in layers
    }
    for total in totals:
        last = keep.unit(partial(ends, probing, states[total], total, layers), loops=total, **asked)["said"]
        dealt = keep.unit(partial(shuffled_ends, probing, states[total], total, layers), dealt=total, **asked)["said"]
        probed, difference = last.astype(float), judged[total].difference
        fitted = np.stack([thresholds(difference, probing.labels, place) for place in probing.places]).astype(float)
        language = {"language": (difference > 0).astype(float), "language-words": judged[total].words}
        said = {**language, "language-fitted": fitted, "representation": probed}
        lines += list(_lines(total, said, probing, dealt.astype(float)))
        for measure in SCORE_MEASURES:
            gap = probing.refits.gap(measure, probed, fitted)
            gaps.append(_row(gap, probed, loops=total, measure=measure))
    maps, across = _of_sites(probing, read, range(most), layers)
    return Found(_in_order(lines, totals), pd.DataFrame(gaps), maps, across)


def _solved(
    tap: Tap, items: Sequence[Item], totals: Sequence[int], *, size: int, seed: int, keep: Keeping, task: str
) -> Iterator[dict[str, object]]:
    questions = list({item.question: item for item in items if item.correct}.values())
    groups = pd.factorize(pd.Series([item.group for item in questions]))[0].astype(np.int64)
    scoring = Scoring.of(np.ones(len(questions)), groups, seed)
    answers = [item.answer for item in items]
    for total, solved in solve(tap, questions, answers, totals, size=size, keep=keep, task=task).items():
        for monitor, right in (("task", solved.chosen), ("task-words", solved.words)):
            yield _row(scoring.accuracy(right), right, loops=total, monitor=monitor, measure="accuracy")


def _lines(total: int, said: Mapping[str, Floats], probing: Probing, dealt: Floats) -> Iterator[dict[str, object]]:
    for measure in SCORE_MEASURES:
        for monitor, verdicts in said.items():
            estimate = scored(probing.scoring, measure, verdicts, probing.places)
            yield _row(estimate, verdicts, loops=total, monitor=monitor, measure=measure)
        yield _row(_of_deals(probing, measure, dealt), dealt[0], loops=total, monitor="shuffled", measure=measure)
        always = Estimate(constant(measure, probing.scoring.truth), np.nan, np.nan, probing.scoring.weights.shape[1])
        yield _row(always, dealt[0], loops=total, monitor="constant", measure=measure)


def _of_deals(probing: Probing, measure: str, dealt: Floats) -> Estimate:
    """Return the mean score of probes of shuffled labels, `(deal, item)`, and the lowest and highest of a deal."""
    scored = [
        Scoring(probing.dealt(deal).astype(float), probing.groups, probing.scoring.weights).score(measure, said).value
        for deal, said in enumerate(dealt)
    ]
    return over_deals(scored, probing.scoring.weights.shape[1])


def _of_sites(
    probing: Probing, read: Mapping[int, Mapping[str, Array]], loops: Sequence[int], layers: Sequence[int]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score the probes of every site, and those of each loop after all others."""
    rows, across = [], []
    for loop in loops:
        for layer in layers:
            where = {"loop": loop, "layer": layer}
            said, control = (read[layer][name][loop].astype(float) for name in ("said", "control"))
            scoring = Scoring(probing.dealt(loop, layer).astype(float), probing.groups, probing.scoring.weights)
            for measure in SCORE_MEASURES:
                true, dealt = probing.scoring.score(measure, said), scoring.score(measure, control)
                rows.append(_row(true, said, **where, labels="true", measure=measure))
                rows.append(_row(dealt, control, **where, labels="shuffled", measure=measure))
            for other in loops:
                tested = read[layer]["transfer"][other, loop].astype(float)
                scored = probing.scoring.accuracy(tested)
                across.append(_row(scored, tested, layer=layer, trained_loop=other, tested_loop=loop))
    return pd.DataFrame(rows), pd.DataFrame(across)


def _in_order(lines: Sequence[Mapping[str, object]], totals: Sequence[int]) -> pd.DataFrame:
    """Put the lines of each number of loops together."""
    table = pd.DataFrame(lines)
    return pd.concat([table[table["loops"] == total] for total in totals], ignore_index=True)


def _row(estimate: Estimate, said: Floats, **where: object) -> dict[str, object]:
    once = np.atleast_2d(said)[0]  # of what was said in each split, one split
    neither = int(np.isnan(once).sum())
    found = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {**where, "n": len(once) - neither, "unknown": neither, "questions": estimate.concepts, **found}
