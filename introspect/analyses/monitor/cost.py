"""What monitoring takes: forwards, token-block forwards, fits, memory. Goes in: options. Comes out: what is printed.

Nothing is stored; the model is loaded, since its size decides.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from introspect.analyses.monitor.ask import SOLVE, VERIFY, item_prompts
from introspect.analyses.monitor.injected import injected_trials
from introspect.analyses.monitor.loss import pieces_of
from introspect.analyses.monitor.monitor import MonitorSettings, batch_rows, read_tasks, totals_of
from introspect.analyses.monitor.probing import DEALS
from introspect.analyses.monitor.refits import REFITS
from introspect.analyses.monitor.tasks import Item
from introspect.analyses.subject import Subject
from introspect.experiment.options import Options
from introspect.injection.engine.engine import prompt_key
from introspect.records.trial import Trial
from introspect.selection import select

FLOAT = 4
"""Bytes of a number of a kept state."""


@dataclass(frozen=True)
class _Cost:
    """What a call would take."""

    rows: tuple[tuple[str, int, int, int], ...]
    """What is run, its prompts, its forwards (a prompt with one number of loops), its token-block forwards."""
    fits: int
    """Cross-validated fits of probes, each of one site, one split and one choice of labels."""
    memory: str


def monitor_cost(options: Options, asked: MonitorSettings) -> _Cost:
    """Count what a call of `monitor` with these arguments would run, and what it would keep."""
    given, subject = read_tasks(options, asked), asked.open(options)
    looped = subject.tap.looped
    totals = totals_of(options, looped, full=asked.full)
    layers = len(select(options.layers, looped.n_layers, option="layers"))
    rows, kept, fits = [_foretold(subject, asked, totals)], [0], 0
    for task, each in given.items():
        rows += _asked(task, each.items, subject, totals)
        kept.append(len(each.items) * max(totals) * layers * looped.d_model * FLOAT)
        fits += fits_of_task(layers, totals)
    if asked.of_trials:
        trials = injected_trials(subject)
        sizes = [_behind(subject, trial) for trial in trials]
        rows.append(("injected trials, prompts alone", len(trials), len(trials), sum(sizes)))
        kept.append(len(trials) * looped.n_loops * looped.n_layers * looped.d_model * FLOAT)
        loops = {trial.injection.sites[0].loop for trial in trials if trial.injection is not None}
        fits += fits_of_injected(layers, trials[0].n_loops, loops)
    batch = batch_rows(subject)
    memory = (
        f"batches of {batch} rows, about {batch * subject.laboratory.row_bytes() / 1e6:.0f} MB beside the weights; "
        f"states in files of {max(kept) / 1e6:.1f} MB until it is done, in memory those of one loop or one layer"
    )
    return _Cost(tuple(rows), fits, memory)


def fits_of_task(layers: int, totals: Sequence[int]) -> int:
    """Count fits: of every site of the most loops and of its control once, of each end in each split and each deal."""
    return layers * (2 * max(totals) + len(totals) * (REFITS + DEALS))


def fits_of_injected(layers: int, n_loops: int, loops: Collection[int]) -> int:
    """Count fits for injections into these loops: of every site behind once, of the ends in each split and deal."""
    return layers * sum(n_loops - loop + REFITS + DEALS for loop in loops)


def _asked(
    task: str, items: Sequence[Item], subject: Subject, totals: Sequence[int]
) -> list[tuple[str, int, int, int]]:
    looped, rows = subject.tap.looped, []
    right = {item.question: item for item in items if item.correct}
    for what, template, asked in (("judged", VERIFY, list(items)), ("answered", SOLVE, list(right.values()))):
        tokens = sum(map(len, item_prompts(looped.tokenizer, template, asked)))
        blocks = sum(tokens * len(looped.sites(total)) for total in totals)
        rows.append((f"{task}, {what}", len(asked), len(asked) * len(totals), blocks))
    return rows


def _foretold(subject: Subject, asked: MonitorSettings, totals: Sequence[int]) -> tuple[str, int, int, int]:
    pieces = pieces_of(subject, asked.texts)
    tokens = sum(len(tokens) for _, tokens in pieces)
    blocks = sum(tokens * len(subject.tap.looped.sites(total)) for total in totals)
    return "texts foretold", len(pieces), len(pieces) * len(totals), blocks


def _behind(subject: Subject, trial: Trial) -> int:
    """Count the token-block forwards of what an injection can change of its prompt, without what is shared."""
    looped, encoded = subject.tap.looped, subject.laboratory.prompts[prompt_key(trial)]
    if trial.injection is None:
        return 0
    first = min(trial.injection.sites)
    tokens = len(encoded.token_ids) - (0 if looped.both_ways else encoded.span_start)
    return tokens * sum(site > first or not looped.resumes for site in looped.sites(trial.n_loops))
