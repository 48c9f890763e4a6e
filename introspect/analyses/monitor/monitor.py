"""`introspect monitor`: what a model says of answers and of injected thoughts, against what its states know, per loop.

Goes in: the options of a sweep, tasks, or a run. Comes out: an Analysis.

Run: introspect monitor organism:solver --task two-hop --n-loops 1-8
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from introspect.analyses.analysis import Analysis
from introspect.analyses.kept_units import Keeping, keeping
from introspect.analyses.monitor import figures
from introspect.analyses.monitor.curves import Found, curves
from introspect.analyses.monitor.injected import check_concepts, see
from introspect.analyses.monitor.items import items_of, sampled
from introspect.analyses.monitor.loss import loss, pieces_of
from introspect.analyses.monitor.noticing_figures import where_noticed, who_notices
from introspect.analyses.monitor.probes import KINDS, ProbeKind
from introspect.analyses.monitor.refits import ONE_FIT
from introspect.analyses.monitor.sentences import said_of_injected, said_of_loss, said_of_sample, said_of_task
from introspect.analyses.monitor.tasks import Item
from introspect.analyses.monitor.who_notices import Noticed, notice
from introspect.analyses.subject import Subject, open_subject
from introspect.analyses.texts import read_texts
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.models.looped_model import LoopedModel
from introspect.models.organisms import PREFIX
from introspect.results.figures.layout import figure_of, fitted
from introspect.selection import counts, one_of, select

NAME = "monitor"
USUAL, USUAL_SHIPPED = "arithmetic,judgement", "arithmetic,two-hop"
"""Tasks where none are named and no injected trials are asked for; two-hop is in the language of shipped organisms."""
TOTALS = "1-8"
"""Loops run in full where none are given, as far as the model can run them; those of the published curves."""
FEW_TOTALS = "1,2,4,8"
QUESTIONS, _CONCEPTS = 40, 12
"""What is run where the full size is not asked for: questions of a task, concepts of injected trials."""
_MOST_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """What is asked beside the options of a sweep, of which `n_loops` and `layers` are those of the tasks, too."""

    tasks: str | None = None
    """Names separated by commas: arithmetic, two-hop, judgement, a CSV file, hf:NAME."""
    probe: ProbeKind = "logistic"
    """How states are read."""
    part: str | None = None
    """Of the questions: `held-out` (default for shipped organisms, some of which saw the others), or `all`."""
    injected: bool = False
    """Whether to look at trials of the injected-thought question, planned as the options say, too."""
    run: Path | None = None
    """A run whose model is taken, and whose trials are looked at."""
    texts: Path | None = None
    """On which the language-model loss is measured; the contrastive prompts when None."""
    full: bool = False
    """Whether to take all questions, numbers of loops and concepts, where the default takes a sample."""

    def __post_init__(self) -> None:
        """Raise InputError for what cannot be asked."""
        one_of(self.probe, KINDS, kind="probe")
        if self.texts is not None:
            read_texts(self.texts)

    @property
    def of_trials(self) -> bool:
        """Say whether injected trials are looked at."""
        return self.injected or self.run is not None

    def open(self, options: Options) -> Subject:
        """Load the model."""
        return open_subject(options, self.run, most_concepts=None if self.full else _CONCEPTS)


@dataclass(frozen=True)
class _Given:
    """The items of a task that are asked."""

    items: list[Item]
    counted: tuple[int, int]
    """Questions asked, of how many."""


def monitor(options: Options, asked: MonitorSettings | None = None, *, keep: Keeping | None = None) -> Analysis:
    """Compare what a model says with what a probe reads, on tasks, on injected trials, or both; and its loss on texts.

    `keep` holds what an earlier call measured. Raises InputError for bad input.
    """
    asked = asked or MonitorSettings()
    if options.seed < 0:
        raise InputError(f"seed {options.seed}: a split needs 0 or more")
    if asked.injected and asked.run is None:
        check_concepts(len(options.words()), "the options")
    given = read_tasks(options, asked)
    if keep is not None:
        return _monitored(options, asked, given, keep)
    with keeping() as keep:
        return _monitored(options, asked, given, keep)


def _monitored(options: Options, asked: MonitorSettings, given: dict[str, _Given], keep: Keeping) -> Analysis:
    subject = asked.open(options)
    pieces, size = pieces_of(subject, asked.texts), batch_rows(subject)
    keep.about(subject, rows=size, asked={name: str(value) for name, value in vars(asked).items()})
    totals = totals_of(options, subject.tap.looped, full=asked.full)
    lost = loss(subject, pieces, totals, size=size, seed=options.seed, keep=keep)
    found = {task: _curves(subject, options, asked, task, each.items, keep) for task, each in given.items()}
    trained = subject.tap.looped.n_loops
    tables, sentences = {"loss": ("Language-model loss by loops run", lost), **_tables(found)}, said_of_loss(lost)
    sentences += _said(tables, list(given), trained)
    of_texts = "the contrastive prompts" if asked.texts is None else asked.texts.name
    if asked.of_trials:
        noticed = _noticed(subject, options, asked.probe, keep)
        tables |= {
            "injected": ("Detection and naming by words, logits and probe", noticed.monitors),
            "injected-sites": (f"Detection by a probe at each site ({ONE_FIT}) and by logits", noticed.sites),
        }
        sentences += said_of_injected(noticed.monitors)
    sentences += said_of_sample({task: each.counted for task, each in given.items()}, full=asked.full)
    made = {**subject.made_with, "tasks": list(given), "probe": asked.probe, "seed": options.seed, "texts": of_texts}
    title = "What the model says, and what its states know"
    drawn = _figures(tables, trained, of_texts)
    return Analysis(NAME, title, {**made, "full": asked.full}, tuple(sentences), tables, drawn)


def read_tasks(options: Options, asked: MonitorSettings) -> dict[str, _Given]:
    """Read the items of each task; raise InputError for what cannot be used, before any model is loaded."""
    chosen = asked.part or ("held-out" if options.model.startswith(PREFIX) else "all")
    if asked.tasks is None and asked.of_trials:
        return {}
    usual = USUAL_SHIPPED if options.model.startswith(PREFIX) else USUAL
    wanted = [task.strip() for task in (usual if asked.tasks is None else asked.tasks).split(",") if task.strip()]
    if not wanted:
        raise InputError(f"task: the list is empty; write such as {USUAL}")
    return {task: _given(items_of(task, part=chosen, seed=options.seed), full=asked.full) for task in wanted}


def _given(items: list[Item], *, full: bool) -> _Given:
    some = sampled(items, None if full else QUESTIONS)
    n, of = (len({item.group for item in each}) for each in (some, items))
    return _Given(some, (n, of))


def totals_of(options: Options, looped: LoopedModel, *, full: bool) -> list[int]:
    """Return the numbers of loops to run: as asked for, or of the usual ones those that the model can run."""
    if options.n_loops is not None:
        return counts(options.n_loops, option="n_loops")
    usual = sorted({*counts(TOTALS if full else FEW_TOTALS, option="n_loops"), looped.n_loops})
    return [total for total in usual if _can_run(looped, total)]


def _can_run(looped: LoopedModel, total: int) -> bool:
    try:
        looped.check_loops(looped.model.config, total)
    except InputError:
        return False
    return True


def batch_rows(subject: Subject) -> int:
    """Return the rows of a batch: as asked for, or as many as fit, and at most _MOST_ROWS."""
    return min(_MOST_ROWS, subject.laboratory.batch_size())


def _noticed(subject: Subject, options: Options, probe: ProbeKind, keep: Keeping) -> Noticed:
    layers = select(options.layers, subject.tap.looped.n_layers, option="layers")
    seen = see(subject, layers, size=batch_rows(subject), keep=keep)
    return notice(seen, kind=probe, seed=options.seed, keep=keep)


def _curves(
    subject: Subject, options: Options, asked: MonitorSettings, task: str, items: Sequence[Item], keep: Keeping
) -> Found:
    looped = subject.tap.looped
    layers, size = select(options.layers, looped.n_layers, option="layers"), batch_rows(subject)
    totals = totals_of(options, looped, full=asked.full)
    return curves(
        subject.tap, items, totals, layers, kind=asked.probe, seed=options.seed, size=size, keep=keep, task=task
    )


def _tables(found: dict[str, Found]) -> dict[str, tuple[str, pd.DataFrame]]:
    titles = {
        "curves": "Task performance and monitors by loops run",
        "gap": "Representation monitor less language monitor by loops run",
        "sites": f"Accuracy and F1 of the probe at each loop and layer ({ONE_FIT})",
        "transfer": f"Accuracy of probes fitted after one loop and tested after another ({ONE_FIT})",
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


def _figures(tables: dict[str, tuple[str, pd.DataFrame]], trained: int, of_texts: str) -> dict[str, tuple[str, Figure]]:
    """Draw every figure whose table there is; given are a title, what draws, its table, and what else it asks for."""
    drawn: dict[str, tuple[str, Callable[..., list[Axes]], str, tuple[int | str, ...]]] = {
        "loss": ("Language-model loss by loops run", figures.loss_by_loops, "loss", (trained, of_texts)),
        "monitors": ("Monitors and task performance by loops run", figures.monitors_by_loops, "curves", (trained,)),
        "gap": ("Representation monitor less language monitor", figures.gap_by_loops, "gap", (trained,)),
        "probes": ("Accuracy of the probe at each loop and layer", figures.probes_by_site, "sites", ()),
        "transfer": (
            "Probes fitted after one loop, tested after another",
            figures.transfer_across_loops,
            "transfer",
            (),
        ),
        "injected": ("Injected thoughts: who notices and who can name", who_notices, "injected", ()),
        "injected-sites": ("Where an injected thought can be read", where_noticed, "injected-sites", ()),
    }
    return {
        name: (title, fitted(figure_of(draw(tables[table][1], *more)), f"{table}.csv"))
        for name, (title, draw, table, more) in drawn.items()
        if table in tables
    }
