"""What a sweep would take: counted without a walk of the plan, and timed on a sample drawn over all of it.

Goes in: Options. Come out: counts and memory at once, and seconds after running trials that are thrown away.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from introspect.concepts.vectors import ConceptVectors
from introspect.experiment.estimate.costs import CostPiece, fitted_costs, merged
from introspect.experiment.estimate.sample import Sample
from introspect.experiment.laboratory import Laboratory, open_laboratory
from introspect.experiment.options import Options
from introspect.experiment.workers import crew
from introspect.injection.plan.plan import Counts, Plan, plan

BUDGET = 30.0
"""Seconds of a sample, after which no piece is begun; a piece may take as long as an answer of the model does."""
_FIRST = 8
"""Trials of a question's first piece."""
_MOST = 32
"""Trials of a later piece, where there is time for so many, and where they are but a quarter of the question's."""
_PLACES = (1 / 2, 1 / 6, 5 / 6)
"""Where in a question's trials its pieces are drawn."""
_WARM = -1
"""In the place of a question: the piece with which it is warmed up."""

_Report = Callable[[int, int], None]
"""Called with the questions timed and the questions there are."""


@dataclass(frozen=True)
class Timing:
    """How long the trials would take on one worker."""

    seconds: float
    prompts: float
    """How many of them for prompts."""
    sampled: int
    """Trials that were run."""


@dataclass(frozen=True)
class RunEstimate:
    """What a sweep would take."""

    laboratory: Laboratory
    vectors: ConceptVectors
    trials: Plan
    batch_size: int
    block: int
    """Trials that are stored at once."""

    @cached_property
    def counts(self) -> Counts:
        """Count the trials."""
        return self.trials.counts

    @property
    def bytes(self) -> int:
        """Return the memory of one batch, beside the weights."""
        return min(self.batch_size, self.block, len(self.trials)) * self.laboratory.row_bytes()

    def timing(self, report: _Report | None = None) -> Timing:
        """Run a sample of some BUDGET seconds and work out from it what all trials take."""
        sample = Sample(self.laboratory, self.vectors, self.trials, self.batch_size, self.block)
        pieces = _drawn(sample, report or (lambda *_: None))
        costs = fitted_costs([piece for of in pieces.values() for piece in of])
        each = {
            section: costs.trial(merged(of), sample.crowd(section))
            for section, of in pieces.items()
            if section != _WARM
        }
        totals = {section: self.trials.sections[section].total for section in each}
        known = sum(each[section] * total for section, total in totals.items())
        running = known * len(self.trials) / sum(totals.values())  # those not timed take what the others do
        asked = sum(section.prompts for section in self.trials.sections if section.total)
        prompts = asked * sum(sample.prompt_seconds) / len(sample.prompt_seconds)
        return Timing(running + prompts, prompts, sum(piece.trials for of in pieces.values() for piece in of))


def estimate(options: Options) -> RunEstimate:
    """Count what a sweep would take; nothing is stored, and no trial is run until the time is asked for."""
    laboratory = open_laboratory(options)
    vectors, sharing = laboratory.vectors(), crew.sharing(options)
    rows = laboratory.batch_size(sharing)
    return RunEstimate(laboratory, vectors, plan(laboratory.grid(vectors)), rows, laboratory.pace(rows, sharing).trials)


def _drawn(sample: Sample, report: _Report) -> dict[int, list[CostPiece]]:
    """Run pieces of every question, the largest ones first, until the time is up."""
    sections = [i for i, section in enumerate(sample.trials.sections) if section.total]
    sections.sort(key=lambda i: -sample.trials.sections[i].total)
    report(0, len(sections))
    pieces: dict[int, list[CostPiece]] = {_WARM: [sample.warm_up(sections[0])]}
    begin = time.perf_counter()
    for done, section in enumerate(sections):
        if done == 0 or time.perf_counter() - begin < BUDGET:
            pieces[section] = [sample.run(sample.drawn(section, _PLACES[0], min(_FIRST, sample.rows)))]
        report(done + 1, len(sections))
    turns = [(place, section) for place in _PLACES[1:] for section in pieces if section != _WARM]
    for turn, (place, section) in enumerate(turns):
        share = (BUDGET - (time.perf_counter() - begin)) / (len(turns) - turn)
        most = min(_MOST, sample.rows, sample.trials.sections[section].total // 4)
        if (n := min(most, _affordable(pieces, section, share))) >= _FIRST:
            pieces[section].append(sample.run(sample.drawn(section, place, n)))
    return pieces


def _affordable(pieces: dict[int, list[CostPiece]], section: int, seconds: float) -> int:
    """Say how many trials of a question can be run in so many seconds."""
    costs, first = fitted_costs([piece for of in pieces.values() for piece in of]), pieces[section][0]
    rest = seconds - costs.seconds(first.calls, 0)
    return int(rest / max(costs.seconds(0, first.tokens / first.trials), 1e-9))
