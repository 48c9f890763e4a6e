"""The commands that read a run: `table`, `plot`, `show`. None of them needs a model or torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from introspect.records import Gate

RunFolder = Annotated[Path, typer.Argument(help="Folder of a sweep.")]

Coherence = Annotated[str, typer.Option(help="Which answers count: rules (all that can be read), or model as well.")]


def gate(coherence: str) -> "Gate":
    """Read the option."""
    from introspect.records import GATES
    from introspect.selection import one_of

    return one_of(coherence, GATES, kind="coherence")


def table(run: RunFolder, coherence: Coherence = "rules") -> None:
    """Write the run's tables as CSV again.

    With --coherence model, verdicts on answers that the model without injection would hardly have written are unknown.
    """
    from introspect.cli.printing import print_absent, print_written
    from introspect.results.store import Store
    from introspect.results.tables import summaries, write_tables

    with Store.open(run) as store:
        made = summaries(store, gate(coherence))
        print_written("tables", write_tables(store, made))
        print_absent(made.absent)


def plot(run: RunFolder, coherence: Coherence = "rules") -> None:
    """Draw the run's figures again, as PNG and PDF."""
    from introspect.cli.printing import print_absent, print_written
    from introspect.results.figures import draw_all, write_figures
    from introspect.results.store import Store
    from introspect.results.tables import summaries

    with Store.open(run) as store:
        made = summaries(store, gate(coherence))
        drawn = draw_all(made.made)
        print_written("figures", write_figures(store, drawn))
        print_absent(made.absent | drawn.absent)


def show(run: RunFolder, trial: Annotated[str, typer.Argument(help="Id of a trial, or the beginning of it.")]) -> None:
    """Show one trial: its prompt with the injection span marked, the answer, grades and read-outs."""
    from introspect.cli.printing import print_trial
    from introspect.run import Run

    with Run.open(run) as opened:
        found = opened.trial(trial)
        print_trial(found.record, opened.prompt(found.record), found.response, found.grades)
