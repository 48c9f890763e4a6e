"""What the commands print. Model output is shown as it is, never read as markup."""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from introspect.prompts import START, STOP, Prompt
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial
from introspect.results.tables.trials.absence import said_absent

if TYPE_CHECKING:
    from introspect.calibration import Check, EffectCheck
    from introspect.experiment.estimate import RunEstimate

OUT = Console(highlight=False, soft_wrap=True, emoji=False)


def print_rows(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table."""
    shown = Table(box=None, pad_edge=False)
    for name in header:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*(escape(printable(str(value))) for value in row))
    (OUT if OUT.is_terminal else Console(width=160, highlight=False, emoji=False)).print(shown)


def print_written(what: str, paths: Sequence[Path]) -> None:
    """Name what was written."""
    OUT.print(f"{escape(what)}:")
    for path in paths:
        OUT.print(f"  {escape(str(path))}")


def print_absent(absent: Mapping[str, str]) -> None:
    """Name in one line the tables and figures that the run cannot have, and what they lack."""
    if absent:
        OUT.print(f"not made: {said_absent(absent)}", markup=False)


def print_analysis(sentences: Sequence[str], paths: Sequence[Path]) -> None:
    """Print what an analysis says, and name what it wrote."""
    for sentence in sentences:
        OUT.print(sentence, markup=False)
    print_written("tables and figures", paths)


def print_counts(estimate: "RunEstimate") -> None:
    """Print how large a sweep would be."""
    counts = estimate.counts
    rows = []
    for arm, trials in counts.arms.items():
        tallies = [tally for (_, of), tally in counts.tallies.items() if of == arm]
        sizes = sorted({tally.each for tally in tallies})
        rows.append((arm, sum(tally.cells for tally in tallies), " or ".join(map(str, sizes)), trials))
    print_rows(("arm", "cells", "trials a cell", "trials"), rows)
    OUT.print(f"{counts.total} trials in {sum(tally.cells for tally in counts.tallies.values())} cells")
    width = min(estimate.batch_size, estimate.block)
    OUT.print(f"batches of {width} rows, about {estimate.bytes / 1e6:.0f} MB beside the weights")
    OUT.print(f"blocks of {estimate.block} trials, each stored at once")


def print_timed(estimated: "RunEstimate") -> None:
    """Time a sample of a sweep, and print how long all of it would take."""
    from introspect.cli.progress import Progress
    from introspect.experiment.estimate import BUDGET

    said = f"timing a sample of the trials, about {BUDGET:.0f} seconds, or longer where a few answers take longer"
    typer.echo(said, err=True)
    with Progress("questions timed") as progress:
        timing = estimated.timing(progress.report)
    sampled = f"from {timing.sampled} trials drawn over the plan, run and thrown away"
    prompts = f"{_duration(timing.prompts)} of them for prompts"
    OUT.print(f"about {_duration(timing.seconds)} for the trials on one worker, {prompts}; {sampled}")


def print_calibration(checks: Sequence["Check | EffectCheck"], out: Path) -> None:
    """Print measured against known, one verdict per line."""
    rows = []
    for check in checks:
        verdict = "recovered" if check.recovered else "NOT RECOVERED"
        measured = (check.known, check.measured, check.counted, check.unknown, verdict)
        rows.append((check.truth.organism, check.claim, *measured))
    print_rows(("organism", "claim", "known", "measured", "k/n", "unknown", "verdict"), rows)
    recovered = sum(check.recovered for check in checks)
    OUT.print(f"\n{recovered} of {len(checks)} known truths recovered; runs in {escape(str(out))}")


def print_trial(trial: Trial, prompt: Prompt, response: Response, grades: Sequence[Grade]) -> None:
    """Print one trial."""
    about = f"trial {trial.id}: {trial.model}, concept {trial.concept}, arm {trial.arm}, repeat {trial.repeat}"
    OUT.print(printable(about), markup=False)
    asked = f"protocol {trial.protocol}, question {trial.question}"
    asked += f", options {_listed(trial.options)}" if trial.options else ""
    asked += f", expected {trial.expected}" if trial.expected else ""
    asked += f", vector of {trial.partner}" if trial.partner else ""
    OUT.print(printable(asked), markup=False)
    if trial.injection is not None:
        sites = ", ".join(map(str, trial.injection.sites))
        norms = f"vector norm {_number(response.vector_norm)}, relative norm {_number(response.relative_norm)}"
        OUT.print(f"injected at {sites} (loop:layer), strength {trial.injection.strength:g}, {norms}")
    said = (("thinking", response.thinking), (f"answer, {response.finish_reason}", response.text))
    written = [each for each in (*said, ("beyond its turn", response.cut)) if each[1] or each is said[1]]
    for role, content in [*marked(prompt), *written]:
        OUT.print(f"\n[{role}]\n{_indented(content)}", markup=False)
    OUT.print("")
    rows = [
        (
            g.grader,
            *map(_verdict, (g.detected, g.identified, g.coherent, g.refused, g.correct)),
            g.answer or "",
            g.evidence,
        )
        for g in grades
    ]
    print_rows(("grader", "detected", "identified", "coherent", "refused", "correct", "answer", "evidence"), rows)
    OUT.print("")
    reads = [
        (r.loop, f"{r.logit_yes - r.logit_no:+.2f}", f"{r.mass:.3f}", f"{r.entropy:.2f}") for r in response.readouts
    ]
    print_rows(("read out after loop", "logit(yes) - logit(no)", "mass", "entropy (nats)"), reads)


def marked(prompt: Prompt) -> list[tuple[str, str]]:
    """Return role and content of each message, with the injection spans' marks in the text."""
    shown = [(message["role"], message["content"]) for message in prompt.messages]
    for mark, text in reversed(list(zip(prompt.marks, itertools.cycle((START, STOP))))):
        role, content = shown[mark.message]
        shown[mark.message] = role, content[: mark.offset] + text + content[mark.offset :]
    return shown


def printable(text: str) -> str:
    """Escape control characters of a model's text, so that it cannot move the cursor or colour the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def between(row: Any, value: str, low: str, high: str) -> str:  # Any: a row of a table
    """Write a value with its interval, alone where it has none; nothing where there is no value."""
    if row[value] != row[value]:
        return ""
    if row[low] != row[low]:
        return f"{row[value]:.2f}"
    return f"{row[value]:.2f} [{row[low]:.2f}, {row[high]:.2f}]"


def _indented(text: str) -> str:
    lines = (textwrap.fill(line, 100, replace_whitespace=False) for line in printable(text).split("\n"))
    return textwrap.indent("\n".join(lines), "  ")


def _listed(options: Sequence[str]) -> str:
    """Write options one after another, in quotation marks where one holds a comma."""
    return ", ".join(f'"{option}"' if "," in option else option for option in options)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _verdict(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "unknown"}[value]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
