"""`introspect trajectory`: the paths of injected trials beside their controls, and what the cache holds of the thought.

Goes in: the options of a sweep, or its run. Comes out: an Analysis with tables, figures and a page to turn paths on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from introspect.analyses.analysis import Analysis
from introspect.analyses.trajectory import figures, path_figures, tables
from introspect.analyses.trajectory.cache_memory import remembered
from introspect.analyses.trajectory.measure import METRICS, QUANTITIES, measured
from introspect.analyses.trajectory.page import drawing_page
from introspect.analyses.trajectory.path_drawing import Drawn, drawn
from introspect.analyses.trajectory.plan import TrajectoryPlan, planning
from introspect.analyses.trajectory.probe import probed
from introspect.analyses.trajectory.sentences import trajectory_sentences
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.injection.engine.failures import UnreachableError
from introspect.results.figures.layout import figure_of, fitted

_TITLES = {
    "differences": "Salience, curvature and area at every site: trial less control, mean over concepts",
    "totals": "Length, mean curvature and area of whole paths, and how alike the profiles of trial and control are",
    "readouts": "What lenses read at every site: probability, trial less control, and median rank",
    "readable": "Share of concepts that are readable at every site in the trial and not in its control",
    "readings": "From which site each concept is readable, and from which never again",
    "memory": "How often a probe of the span's keys and values names the concept, by site",
}

MAKERS = {
    "differences": tables.differences,
    "totals": tables.totals,
    "readouts": tables.readout_table,
    "readable": tables.readable_rates,
    "readings": tables.readings,
}


def trajectory(
    options: Options, *, run: str | Path | None = None, probe: str = "means", n_loops: int | None = None
) -> Analysis:
    """Follow the paths of injected trials and of their controls, and probe the cache.

    With `run` the options are those of the run but for the device and the batch size, and `n_loops` chooses among
    its numbers of loops. `probe` is `means` or `logistic`. Raises InputError for bad input.
    """
    return followed_paths(planning(options, run=run, probe=probe, n_loops=n_loops))


def followed_paths(plan: TrajectoryPlan) -> Analysis:
    """Run what is planned and make everything from it."""
    subject = plan.subject
    try:
        found = measured(subject.engine, plan.trials, plan.size)
        cached = remembered(plan.prior.engine(subject.vectors), plan.remembering, plan.size)
    except UnreachableError as error:
        raise InputError(str(error)) from None
    tables = {name: make(found) for name, make in MAKERS.items()}
    tables["memory"] = probed(cached, plan.probe, subject.laboratory.options.seed)
    drawings = drawn(subject.engine, plan.shown)
    title = f"Trajectories of {subject.tap.looped.name}"
    return Analysis(
        "trajectory",
        title,
        {**subject.made_with, "probe": plan.probe, "n_loops": plan.trials[0].n_loops, "trials": len(plan.trials)},
        trajectory_sentences(tables, plan.strength),
        {name: (_TITLES[name], table) for name, table in tables.items()},
        _figures(tables, drawings, plan.strength),
        {"paths": ("Paths of single trials and their controls, to be turned", drawing_page(drawings, title))},
    )


def _figures(
    tables: Mapping[str, pd.DataFrame], drawings: Sequence[Drawn], strength: float
) -> dict[str, tuple[str, Figure]]:
    made: dict[str, tuple[str, str, list[Axes]]] = {}
    for metric in METRICS:
        for quantity in QUANTITIES:
            axes = figures.differences_by_layer(tables["differences"], quantity, metric, strength)
            said = f"Difference in {figures.AXIS_UNITS[quantity]} {figures.METRIC_LABELS[metric]}, by layer and loop"
            made[quantity if metric == "unembedding" else f"{quantity}-raw"] = said, "differences.csv", axes
    read = figures.readable_by_site(tables["readable"], strength)
    answers = figures.answers_by_site(tables["readouts"], strength)
    made["readable"] = "Where the concept is readable", "readable.csv", read
    made["answers"] = "What the logit lens reads of yes, no and the concept", "readouts.csv", answers
    made["memory"] = "How much of the concept the cache holds", "memory.csv", figures.memory_by_site(tables["memory"])
    flat, deep = path_figures.in_two(drawings[0]), path_figures.in_three(drawings[0])
    made["path-2d"] = "One trial and its control, in two dimensions", "paths.html", flat
    made["path-3d"] = "One trial and its control, in three dimensions", "paths.html", deep
    return {name: (said, fitted(figure_of(axes), source)) for name, (said, source, axes) in made.items()}
