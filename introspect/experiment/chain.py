"""The arrows after the responses, each one call of a notebook: grade, keep, tables, figures.

Takes what `Laboratory.run` returns; each product can be looked at on its own. A sweep walks the same way, in blocks.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure

from introspect.experiment.run import Run
from introspect.grading import grader_named
from introspect.grading.detection_time import graded
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial
from introspect.results.figures.all_figures import draw_all
from introspect.results.store.store import Store

if TYPE_CHECKING:
    from introspect.experiment.laboratory import Laboratory
    from introspect.injection.engine.block_stream import Result


def grade(laboratory: "Laboratory", results: Iterable["Result"], graders: Sequence[str] = ("rules",)) -> list[Grade]:
    """Return the grade of every answer by every grader; a trial that failed gets none, which is not a no."""
    turns, named = laboratory.tap.looped.turns, [grader_named(name) for name in graders]
    return [graded(grader, trial, response, turns) for trial, response in _answered(results) for grader in named]


def keep(laboratory: "Laboratory", results: Sequence["Result"], grades: Iterable[Grade], folder: str | Path) -> Run:
    """Return the open run in which these results and grades now are; what is there already is not stored twice.

    Raises InputError where the folder holds another run, or something else.
    """
    with Store.open_or_create(Path(folder), laboratory.manifest()) as store:
        store.add(_answered(results), grades)
        store.add_errors((trial, result.message) for trial, result in results if not isinstance(result, Response))
    return Run.open(folder)


def tables(run: Run) -> dict[str, pd.DataFrame]:
    """Return the tables of a run by name, those that a sweep writes as CSV."""
    return run.tables


def figures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Return every figure that these tables give, by name."""
    return draw_all(tables).made


def _answered(results: Iterable["Result"]) -> list[tuple[Trial, Response]]:
    return [(trial, result) for trial, result in results if isinstance(result, Response)]
