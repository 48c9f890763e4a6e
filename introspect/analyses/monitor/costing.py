"""What monitoring takes: forwards, token-block forwards, memory. Goes in: the options. Comes out: what is printed.

Nothing is stored; the model is loaded, since its size decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from introspect.analyses.monitor.asking import SOLVE, VERIFY, prompts
from introspect.analyses.monitor.injected import injected_trials
from introspect.analyses.monitor.monitoring import batch_rows, read_tasks, totals_of
from introspect.analyses.monitor.tasks import Item
from introspect.analyses.subject import Subject, open_subject
from introspect.injection.engine import prompt_key
from introspect.options import Options
from introspect.selection import select

FLOAT = 4
"""Bytes of a number of a kept state."""


@dataclass(frozen=True)
class Cost:
    """What a call would take."""

    rows: tuple[tuple[str, int, int, int], ...]
    """What is run, its prompts, its forwards (a prompt with one number of loops), its token-block forwards."""
    memory: str


def cost(options: Options, *, tasks: str | None, part: str | None, injected: bool, run: Path | None) -> Cost:
    """Count what a call of `monitor` with these arguments would run, and what it would keep."""
    given = read_tasks(options, tasks, part, injected=injected or run is not None)
    subject = open_subject(options, run)
    looped = subject.tap.looped
    totals = totals_of(options, looped)
    rows, kept = [], [0]
    for task, items in given.items():
        rows += _asked(task, items, subject, totals)
        sites = max(totals) * len(select(options.layers, looped.n_layers, option="layers"))
        kept.append(len(items) * sites * looped.d_model * FLOAT)
    if injected or run is not None:
        trials = injected_trials(subject)
        lengths = [len(subject.laboratory.prompts[prompt_key(trial)].token_ids) for trial in trials]
        blocks = sum(n * len(looped.sites(trial.n_loops)) for n, trial in zip(lengths, trials, strict=True))
        rows.append(("injected trials, prompts alone", len(trials), len(trials), blocks))
        kept.append(len(trials) * looped.n_loops * looped.n_layers * looped.d_model * FLOAT)
    batch = batch_rows(subject)
    memory = (
        f"batches of {batch} rows, about {batch * subject.laboratory.row_bytes() / 1e6:.0f} MB beside the weights; "
        f"states in a temporary file of {max(kept) / 1e6:.1f} MB, one site of it in memory at a time"
    )
    return Cost(tuple(rows), memory)


def _asked(
    task: str, items: Sequence[Item], subject: Subject, totals: Sequence[int]
) -> list[tuple[str, int, int, int]]:
    looped, rows = subject.tap.looped, []
    right = {item.question: item for item in items if item.correct}
    for what, template, asked in (("judged", VERIFY, list(items)), ("answered", SOLVE, list(right.values()))):
        tokens = sum(map(len, prompts(looped.tokenizer, template, asked)))
        blocks = sum(tokens * len(looped.sites(total)) for total in totals)
        rows.append((f"{task}, {what}", len(asked), len(asked) * len(totals), blocks))
    return rows
