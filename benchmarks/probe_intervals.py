"""Intervals of a probe's accuracy where the truth is known: how often they cover it.

    python -m benchmarks.probe_intervals [--runs 1000] [--kind logistic]

Each run draws its questions anew, each with a right and a wrong answer, fits probes on all but a fifth of them and
scores what they say of that fifth. So does `introspect monitor`, which chooses the penalty as well; here there is one.
The truth is the mean accuracy of such probes on questions never seen. Three intervals are held against it:

- bootstrap: over questions, of what the probes of one split said; that of the maps of `monitor`.
- averaged: the same over shares averaged over several splits, so that chance in the split is nearly out of it.
- corrected: of the same splits, with the fits in its variance (`introspect.analyses.monitor.refits`); that of the
  curves of `monitor`.

Monte-Carlo errors are binomial.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.timing import show
from introspect.analyses.monitor.probes import FITS, FOLDS, KINDS, ProbeKind, Probes
from introspect.analyses.monitor.refits import REFITS, Refits
from introspect.analyses.monitor.scores import Scoring
from introspect.results.statistics.clusters import Estimate, expanded
from introspect.selection import one_of

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
WIDTH = 32
"""Numbers in a state."""
PENALTY = 0.01
UNSEEN = 2000
"""Questions on which the truth is measured."""
QUESTIONS, EFFECTS = (5, 8, 20, 60), (0.0, 0.3, 1.0, 3.0)
"""What is crossed in the table."""
INTERVALS = ("bootstrap", "averaged", "corrected")


@dataclass(frozen=True)
class Covered:
    """What many runs of one world gave."""

    truth: float
    """Mean accuracy of the probes on questions never seen."""
    spread: float
    """Standard deviation over runs of the accuracy that one split gives."""
    coverage: dict[str, float]
    """Share of 95% intervals with the truth in them, by interval."""
    width: dict[str, float]
    """Mean width."""


def simulated(questions: int, effect: float, kind: ProbeKind, runs: int, *, seed: int = 0) -> Covered:
    """Return what each interval makes of probes that can read an effect, in deviations of a state's coordinate."""
    rng = np.random.default_rng(seed)
    unseen = drawn(UNSEEN, effect, rng)
    truths, values, intervals = [], [], []
    for _ in range(runs):
        items = drawn(questions, effect, rng)
        fitted = [right_of_split(*items, kind, unseen, rng) for _ in range(REFITS)]
        truths.append(np.mean([truth for *_, truth in fitted]))
        found = dict(zip(INTERVALS, _intervals([each[:2] for each in fitted]), strict=True))
        values.append(found["bootstrap"].value)
        intervals.append([(each.low, each.high) for each in found.values()])
    truth, bounds = float(np.mean(truths)), np.array(intervals)  # (run, interval, bound)
    inside = ((bounds[:, :, 0] <= truth) & (truth <= bounds[:, :, 1])).mean(0)
    widths = (bounds[:, :, 1] - bounds[:, :, 0]).mean(0)
    named = (dict(zip(INTERVALS, each.tolist(), strict=True)) for each in (inside, widths))
    return Covered(truth, float(np.std(values)), *named)


def drawn(questions: int, effect: float, rng: np.random.Generator) -> tuple[Floats, Labels]:
    """Draw states `(item, WIDTH)` and labels `(item,)`: items of a question share half of their variance.

    A right answer is moved by the effect along one coordinate and a wrong one back, more in some questions than others.
    """
    labels = np.tile([1, 0], questions)
    own = np.repeat(rng.normal(0, np.sqrt(0.5), (questions, WIDTH)), 2, axis=0)
    states = own + rng.normal(0, np.sqrt(0.5), (2 * questions, WIDTH))
    states[:, 0] += (2 * labels - 1) * effect * np.repeat(rng.gamma(2, 0.5, questions), 2)
    return states, labels


def right_of_split(
    states: Floats, labels: Labels, kind: ProbeKind, unseen: tuple[Floats, Labels], rng: np.random.Generator
) -> tuple[Floats, Labels, float]:
    """Return which items the probes of a split are right about, the items' folds, and the probes' true accuracy."""
    place = np.repeat(rng.permutation(len(labels) // 2) % FOLDS, 2)
    inside = place != np.arange(FOLDS)[:, None]
    probes = Probes(*FITS[kind](states, labels, inside, np.full(FOLDS, PENALTY)))
    right = (probes.say(states, place) == labels).astype(float)
    said = unseen[0] @ probes.weights.T + probes.intercepts > 0
    return right, place, float((said == unseen[1][:, None]).mean())


def _intervals(splits: list[tuple[Floats, Labels]]) -> Iterator[Estimate]:
    """Yield the interval of the first split, that of all of them averaged, and the corrected one."""
    rights, places = (np.stack(each) for each in zip(*splits, strict=True))
    first, every = rights[0], rights.mean(0)
    groups = np.repeat(np.arange(len(first) // 2), 2)
    scoring = Scoring.of(np.ones(len(first)), groups)
    yield scoring.accuracy(first)
    level, drawn_means = expanded(0.95, len(first) // 2), scoring.weights @ np.bincount(groups, every) / len(first)
    low, high = np.quantile(drawn_means, [0.5 - level / 2, 0.5 + level / 2])
    yield Estimate(float(every.mean()), float(low), float(high), len(first) // 2)
    yield Refits(scoring, places).score("accuracy", rights)


def main(runs: int = 1000, kind: str = "logistic") -> None:
    """Print the table."""
    rows = []
    for seed, (questions, effect) in enumerate(product(QUESTIONS, EFFECTS)):
        found = simulated(questions, effect, one_of(kind, KINDS, kind="probe"), runs, seed=seed)
        covers = [
            f"{share:.3f} ± {np.sqrt(share * (1 - share) / runs):.3f}, {found.width[name]:.2f}"
            for name, share in found.coverage.items()
        ]
        rows.append((str(questions), f"{effect:g}", f"{found.truth:.3f}", f"{found.spread:.3f}", *covers))
    columns = ("questions", "effect", "truth", "spread", *(f"{name}: covers, width" for name in INTERVALS))
    show(f"{runs} runs, {kind} probes of {WIDTH} numbers, {REFITS} splits", columns, rows)


if __name__ == "__main__":
    typer.run(main)
