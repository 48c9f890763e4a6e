"""`introspect trajectory`: the paths of injected trials beside their controls, and what the cache holds of the thought.

Goes in: the options of a sweep, or its run. Comes out: an Analysis with tables, figures and a page to turn paths on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from introspect.analyses.subject import Subject, open_subject
from introspect.analyses.trajectory import figures, portraits, tabulating
from introspect.analyses.trajectory.drawing import Drawn, drawn
from introspect.analyses.trajectory.measured import METRICS, QUANTITIES, measured
from introspect.analyses.trajectory.memory import laboratory_of, planned, remembered
from introspect.analyses.trajectory.page import page
from introspect.analyses.trajectory.probing import PROBES, Probe, probed
from introspect.analyses.trajectory.saying import sentences
from introspect.errors import InputError
from introspect.options import Options
from introspect.records import Arm, Trial
from introspect.results.analysed import Analysis
from introspect.results.panels import figure_of
from introspect.selection import one_of

ARMS: tuple[Arm, ...] = ("injected", "random")
MOST_DRAWN = 8
"""Trials that can be turned on the page."""
TITLES = {
    "differences": "Salience, curvature and area at every site: trial less control, mean over concepts",
    "totals": "Length, mean curvature and area of whole paths, and how alike the profiles of trial and control are",
    "readouts": "What lenses read at every site: probability, trial less control, and median rank",
    "readable": "Share of concepts that are readable at every site in the trial and not in its control",
    "readings": "From which site each concept is readable, and from which never again",
    "memory": "How often a probe of the span's keys and values names the concept, by site",
}


@dataclass(frozen=True)
class Plan:
    """What is going to be run, of one number of loops and one wording."""

    subject: Subject
    probe: Probe

    @cached_property
    def trials(self) -> list[Trial]:
        """List the trials whose paths are walked, of the first question in its first wording."""
        variant = self.subject.laboratory.options.variants()[0][0]
        found = self.subject.trials(ARMS, variant.question.name)
        found = [trial for trial in found if trial.template_hash == variant.template_hash]
        loops = {trial.n_loops for trial in found}
        if len(loops) != 1:
            ran = ", ".join(map(str, sorted(loops))) or "no"
            raise InputError(f"total_loops: these options run {ran} loops; a trajectory has one number of loops")
        return found

    @cached_property
    def remembering(self) -> list[Trial]:
        """List the trials whose cache is read."""
        return planned(self.subject, self.trials[0].n_loops)

    @property
    def size(self) -> int:
        """Give the rows of a batch."""
        return self.subject.laboratory.batch_size()

    @cached_property
    def strength(self) -> float:
        """Give the strength that figures show: the middle one, of two the larger."""
        strengths = sorted({trial.injection.strength for trial in self.trials if trial.injection is not None})
        return strengths[len(strengths) // 2]

    def shown(self) -> list[Trial]:
        """List the trials that are drawn: the first concept's, at the strength of the figures, one an injected site."""
        first = self.trials[0].concept
        found = [
            trial
            for trial in self.trials
            if trial.arm == "injected" and trial.concept == first and trial.repeat == 0
            if trial.injection is not None and trial.injection.strength == self.strength
        ]
        return found[:MOST_DRAWN]


def planning(options: Options, *, run: Path | None = None, probe: str = "means") -> Plan:
    """Load the model and plan. Raises InputError for bad input, before that where it can be seen."""
    chosen = one_of(probe, tuple(PROBES), kind="probe")
    if run is None and len(options.words()) < 2:
        raise InputError(f"concepts {options.words()[0]!r}: a probe that names the concept needs at least 2 of them")
    plan = Plan(open_subject(options, run), chosen)
    words = plan.subject.laboratory.options.words()
    if len(words) < 2:
        raise InputError(f"{run}: has the concept {words[0]!r} alone; a probe that names it needs at least 2")
    return plan


def trajectory(options: Options, *, run: Path | None = None, probe: str = "means") -> Analysis:
    """Follow the paths of injected trials and of their controls, and probe the cache; see the README for an example.

    With `run` the options are those of the run but for the device and the batch size. `probe` is `means` or `logistic`.
    """
    return followed(planning(options, run=run, probe=probe))


def followed(plan: Plan) -> Analysis:
    """Run what is planned and make everything from it."""
    subject = plan.subject
    found = measured(subject.engine, plan.trials, plan.size)
    cached = remembered(laboratory_of(subject).engine(subject.vectors), plan.remembering, plan.size)
    makers = (tabulating.differences, tabulating.totals, tabulating.readouts)
    tables = {make.__name__: make(found) for make in makers}
    tables |= {"readable": tabulating.readable_rates(found), "readings": tabulating.readings(found)}
    tables["memory"] = probed(cached, plan.probe, subject.laboratory.options.seed)
    drawings = drawn(subject.engine, plan.shown())
    title = f"Trajectories of {subject.laboratory.options.model}"
    return Analysis(
        "trajectory",
        title,
        {**subject.made_with, "probe": plan.probe, "n_loops": plan.trials[0].n_loops, "trials": len(plan.trials)},
        sentences(tables, plan.strength),
        {name: (TITLES[name], table) for name, table in tables.items()},
        _figures(tables, drawings, plan.strength),
        {"paths": ("Paths of single trials and their controls, to be turned", page(drawings, title))},
    )


def _figures(
    tables: Mapping[str, pd.DataFrame], drawings: Sequence[Drawn], strength: float
) -> dict[str, tuple[str, Figure]]:
    made: dict[str, tuple[str, Figure]] = {}
    for metric in METRICS:
        for quantity in QUANTITIES:
            axes = figures.differences_by_layer(tables["differences"], quantity, metric, strength)
            said = f"Difference in {figures.UNITS[quantity]} {figures.METRIC_LABELS[metric]}, by layer and loop"
            made[quantity if metric == "unembedding" else f"{quantity}-raw"] = said, figure_of(axes)
    read = figures.readable_by_site(tables["readable"], strength)
    made["readable"] = "Where the concept is readable", figure_of(read)
    answers = figures.answers_by_site(tables["readouts"], strength)
    made["answers"] = "What the logit lens reads of yes, no and the concept", figure_of(answers)
    made["memory"] = "How much of the concept the cache holds", figure_of(figures.memory_by_site(tables["memory"]))
    made["path-2d"] = "One trial and its control, in two dimensions", figure_of(portraits.in_two(drawings[0]))
    made["path-3d"] = "One trial and its control, in three dimensions", figure_of(portraits.in_three(drawings[0]))
    return made
