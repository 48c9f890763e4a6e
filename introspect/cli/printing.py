"""What the commands print. Model output is shown as it is, never read as markup."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from introspect.prompts import Prompt
from introspect.prompts.rendering import START, STOP
from introspect.records import Grade, Response, Trial

if TYPE_CHECKING:
    from introspect.calibration import Check
    from introspect.sweep import Estimate, Swept

Out = Console(highlight=False, soft_wrap=True)


class Progress:
    """A bar with rate and time left on a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(show_speed=True))
        self._bar = Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._task = self._bar.add_task("trials", total=None)

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state standing."""
        self._bar.stop()

    def report(self, done: int, total: int) -> None:
        """Take note of how far it is."""
        self._bar.update(self._task, completed=done, total=total)


def print_rows(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table."""
    shown = Table(box=None, pad_edge=False)
    for name in header:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*(escape(str(value)) for value in row))
    (Out if Out.is_terminal else Console(width=160, highlight=False)).print(shown)


def print_written(what: str, paths: Sequence[Path]) -> None:
    """Name what was written."""
    Out.print(f"{escape(what)}:")
    for path in paths:
        Out.print(f"  {escape(str(path))}")


def print_swept(swept: "Swept") -> None:
    """Print the rates by loop, where everything is, and what to look at."""
    loops = pd.read_csv(swept.folder / "tables" / "loops.csv", keep_default_na=False, na_values=[""])
    print_loops(loops)
    Out.print(f"\n{swept.done} trials in {escape(str(swept.folder))}" + (f", {swept.failed} failed" if swept.failed else ""))
    print_written("tables", swept.tables)
    print_written("figures", [path for path in swept.figures if path.suffix == ".png"])
    Out.print(
        "\nLook at figures/detection_map.png first: a thought was noticed where the rate of the concept vectors stands "
        "clear of both controls, no injection and random directions."
    )


def print_loops(loops: pd.DataFrame) -> None:
    """Print detection and identification by loop with their intervals, the controls below."""
    keys = [name for name in loops.columns if name not in ("measure", "k", "n", "rate", "low", "high", "unknown", "errors")]
    rows = []
    for cell, part in loops.groupby(keys, dropna=False, sort=False):
        by = part.set_index("measure")
        rows.append([_short(value) for value in cell] + [_rate(by, m) for m in ("detected", "identified")])
    print_rows([*keys, "detected", "identified"], rows)


def print_estimate(estimate: "Estimate") -> None:
    """Print what a sweep would take."""
    cells = list(estimate.counts.cells.items())
    print_rows(("arm", "trials"), list(estimate.counts.arms.items()))
    Out.print(f"{estimate.counts.total} trials in {len(cells)} cells, {cells[-1][1]} a cell")
    Out.print(f"batches of {estimate.batch_size} rows, about {estimate.bytes / 1e6:.0f} MB beside the weights")
    Out.print(f"about {_duration(estimate.seconds)} for the trials, from one batch that was run and thrown away")


def print_calibration(checks: Sequence["Check"], out: Path) -> None:
    """Print measured against known, a verdict a line."""
    rows = []
    for check in checks:
        truth, (low, high) = check.truth, check.interval
        known = f"at least {truth.low:.0%}" if truth.high == 1 else f"at most {truth.high:.0%}"
        if 0 < truth.low and truth.high < 1:
            known = f"{truth.low:.0%} to {truth.high:.0%}"
        claim = truth.claim + (f" (worst: {truth.by} {check.where})" if truth.by else "")
        measured = f"{check.rate:.1%} [{low:.1%}, {high:.1%}]"
        verdict = "recovered" if check.recovered else "NOT RECOVERED"
        rows.append((truth.organism, claim, known, measured, f"{check.k}/{check.n}", check.unknown, verdict))
    print_rows(("organism", "claim", "known", "measured", "k/n", "unknown", "verdict"), rows)
    recovered = sum(check.recovered for check in checks)
    Out.print(f"\n{recovered} of {len(checks)} known truths recovered; runs in {escape(str(out))}")


def print_trial(trial: Trial, prompt: Prompt, response: Response, grades: Sequence[Grade]) -> None:
    """Print one trial."""
    Out.print(f"trial {trial.id}: {trial.model}, concept {escape(trial.concept)}, arm {trial.arm}, repeat {trial.repeat}")
    if trial.injection is not None:
        sites = ", ".join(map(str, trial.injection.sites))
        norms = f"vector norm {response.vector_norm:.3g}, relative norm {response.relative_norm:.3g}"
        Out.print(f"injected at {sites} (loop:layer), strength {trial.injection.strength:g}, {norms}")
    for role, content in marked(prompt):
        Out.print(f"\n[{role}]", markup=False)
        Out.print(textwrap.indent(textwrap.fill(content, 100), "  "), markup=False)
    Out.print(f"\n[answer, {response.finish_reason}]", markup=False)
    Out.print(textwrap.indent(printable(response.text), "  "), markup=False)
    Out.print("")
    rows = [(g.grader, *map(_verdict, (g.detected, g.identified, g.coherent, g.refused)), g.evidence) for g in grades]
    print_rows(("grader", "detected", "identified", "coherent", "refused", "evidence"), rows)
    Out.print("")
    reads = [
        (r.loop, f"{r.logit_yes - r.logit_no:+.2f}", f"{r.mass:.3f}", f"{r.entropy:.2f}") for r in response.readouts
    ]
    print_rows(("read out after loop", "logit(yes) - logit(no)", "mass", "entropy (nats)"), reads)


def marked(prompt: Prompt) -> list[tuple[str, str]]:
    """Give role and content of each message, with the injection span's marks in the text."""
    shown = [(message["role"], message["content"]) for message in prompt.messages]
    for mark, text in ((prompt.stop, STOP), (prompt.start, START)):
        if mark is not None:
            role, content = shown[mark.message]
            shown[mark.message] = role, content[: mark.offset] + text + content[mark.offset :]
    return shown


def printable(text: str) -> str:
    """Escape control characters of a model's text, so that it cannot move the cursor or colour the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _verdict(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "unknown"}[value]


def _short(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:g}"
    return "" if value is None or value is pd.NA else str(value)


def _rate(by: pd.DataFrame, measure: str) -> str:
    if measure not in by.index:
        return ""
    row = by.loc[measure]
    if not row["n"]:
        return "none of 0"
    unknown = f", {row['unknown']:.0f} unknown" if row["unknown"] else ""
    return f"{row['rate']:.2f} [{row['low']:.2f}, {row['high']:.2f}] of {row['n']:.0f}{unknown}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
