"""`introspect monitor`: what a model says of answers and of injected thoughts, against what its states know, per loop.

Goes in: the options of a sweep, tasks, or a run. Comes out: an Analysis.

Run: introspect monitor organism:solver --task two-hop --total-loops 1-8
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from introspect.analyses.monitor import figures
from introspect.analyses.monitor.curves import Found, curves
from introspect.analyses.monitor.injected import see
from introspect.analyses.monitor.items import items_of
from introspect.analyses.monitor.noticing import Noticed, notice
from introspect.analyses.monitor.noticing_figures import where_noticed, who_notices
from introspect.analyses.monitor.probes import KINDS, Kind
from introspect.analyses.monitor.saying import said_of_injected, said_of_task
from introspect.analyses.monitor.tasks import Item
from introspect.analyses.subject import Subject, open_subject
from introspect.errors import InputError
from introspect.models.looped import LoopedModel
from introspect.models.shipped import PREFIX
from introspect.options import Options
from introspect.results.analysed import Analysis
from introspect.results.panels import figure_of
from introspect.selection import counts, one_of, select

NAME = "monitor"
USUAL = "arithmetic,two-hop"
"""Tasks where none are named and no injected trials are asked for."""
TOTALS = "1-8"
"""Loops run where none are given, as far as the model can run them; those of the published curves."""
MOST_ROWS = 64


def monitor(
    options: Options,
    *,
    tasks: str | None = None,
    probe: Kind = "logistic",
    part: str | None = None,
    injected: bool = False,
    run: str | Path | None = None,
) -> Analysis:
    """Compare what a model says with what a probe reads, on tasks, on injected trials, or both.

    Args:
        options: of a sweep; `total_loops` (default: 1-8) and `layers` are those of the tasks, too.
        tasks: names separated by commas: arithmetic, two-hop, judgement, a CSV file, hf:NAME.
        probe: how states are read.
        part: of the questions: `held-out` (default for shipped organisms, some of which saw the others), or `all`.
        injected: also look at trials of the injected-thought question, planned as the options say.
        run: a run whose model is taken, and whose trials are looked at.
    """
    one_of(probe, KINDS, kind="probe")
    if options.seed < 0:
        raise InputError(f"seed {options.seed}: a split needs 0 or more")
    given = read_tasks(options, tasks, part, injected=injected or run is not None)
    subject = open_subject(options, run)
    found = {task: _curves(subject, options, items, probe) for task, items in given.items()}
    trained = subject.tap.looped.n_loops
    tables, sentences = _tables(found), []
    sentences += _said(tables, list(given), trained)
    drawn = _figures(tables, trained)
    if injected or run is not None:
        noticed = _noticed(subject, options, probe)
        tables |= {
            "injected": ("Detection and naming by words, logits and probe", noticed.monitors),
            "injected-sites": ("Detection by a probe at each site and by logits after each loop", noticed.sites),
        }
        sentences += said_of_injected(noticed.monitors)
        drawn |= {
            "injected": ("Injected thoughts: who notices and who can name", figure_of(who_notices(noticed.monitors))),
            "injected-sites": ("Where an injected thought can be read", figure_of(where_noticed(noticed.sites))),
        }
    made = {**subject.made_with, "tasks": list(given), "probe": probe, "seed": options.seed}
    title = "What the model says, and what its states know"
    return Analysis(NAME, title, made, tuple(sentences), tables, drawn)


def read_tasks(options: Options, tasks: str | None, part: str | None, *, injected: bool) -> dict[str, list[Item]]:
    """Read the items of each task; raise InputError for what cannot be used, before any model is loaded."""
    chosen = part or ("held-out" if options.model.startswith(PREFIX) else "all")
    if tasks is None and injected:
        return {}
    wanted = [task.strip() for task in (USUAL if tasks is None else tasks).split(",") if task.strip()]
    if not wanted:
        raise InputError(f"task: the list is empty; write such as {USUAL}")
    return {task: items_of(task, part=chosen, seed=options.seed) for task in wanted}


def totals_of(options: Options, looped: LoopedModel) -> list[int]:
    """Give the numbers of loops to run: as asked for, or of the usual ones those that the model can run."""
    if options.total_loops is not None:
        return counts(options.total_loops, option="total_loops")
    return [total for total in counts(TOTALS, option="total_loops") if _can_run(looped, total)]


def _can_run(looped: LoopedModel, total: int) -> bool:
    try:
        looped.check_loops(looped.model.config, total)
    except InputError:
        return False
    return True


def batch_rows(subject: Subject) -> int:
    """Give the rows of a batch: as asked for, or as many as fit, and at most MOST_ROWS."""
    return min(MOST_ROWS, subject.laboratory.batch_size())


def _noticed(subject: Subject, options: Options, probe: Kind) -> Noticed:
    layers = select(options.layers, subject.tap.looped.n_layers, option="layers")
    return notice(see(subject, layers, size=batch_rows(subject)), kind=probe, seed=options.seed)


def _curves(subject: Subject, options: Options, items: Sequence[Item], probe: Kind) -> Found:
    looped = subject.tap.looped
    layers = select(options.layers, looped.n_layers, option="layers")
    totals, size = totals_of(options, looped), batch_rows(subject)
    return curves(subject.tap, items, totals, layers, kind=probe, seed=options.seed, size=size)


def _tables(found: dict[str, Found]) -> dict[str, tuple[str, pd.DataFrame]]:
    titles = {
        "curves": "Task performance and monitors by loops run",
        "gap": "Representation monitor less language monitor by loops run",
        "sites": "Accuracy and F1 of the probe at each loop and layer",
        "transfer": "Accuracy of probes fitted after one loop and tested after another",
    }
    if not found:
        return {}
    return {
        name: (
            title,
            pd.concat([_of_task(task, getattr(each, name)) for task, each in found.items()], ignore_index=True),
        )
        for name, title in titles.items()
    }


def _of_task(task: str, table: pd.DataFrame) -> pd.DataFrame:
    table.insert(0, "task", task)
    return table


def _said(tables: dict[str, tuple[str, pd.DataFrame]], tasks: Sequence[str], trained: int) -> list[str]:
    if not tasks:
        return []
    curves_, gaps = tables["curves"][1], tables["gap"][1]
    parts = ((task, curves_[curves_["task"] == task], gaps[gaps["task"] == task]) for task in tasks)
    return [sentence for task, line, gap in parts for sentence in said_of_task(task, line, gap, trained)]


def _figures(tables: dict[str, tuple[str, pd.DataFrame]], trained: int) -> dict[str, tuple[str, Figure]]:
    if not tables:
        return {}
    drawn: dict[str, tuple[str, Callable[..., list[Axes]], str, tuple[int, ...]]] = {
        "monitors": ("Monitors and task performance by loops run", figures.monitors_by_loops, "curves", (trained,)),
        "gap": ("Representation monitor less language monitor", figures.gap_by_loops, "gap", (trained,)),
        "probes": ("Accuracy of the probe at each loop and layer", figures.probes_by_site, "sites", ()),
        "transfer": (
            "Probes fitted after one loop, tested after another",
            figures.transfer_across_loops,
            "transfer",
            (),
        ),
    }
    return {
        name: (title, figure_of(draw(tables[table][1], *more))) for name, (title, draw, table, more) in drawn.items()
    }
