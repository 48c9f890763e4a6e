"""The commands that read a run: `table`, `plot`, `show`. None of them needs a model or torch."""

from pathlib import Path
from typing import Annotated

import typer

RunFolder = Annotated[Path, typer.Argument(help="Folder of a sweep.")]


def table(run: RunFolder) -> None:
    """Write the run's tables as CSV again."""
    from introspect.cli.printing import print_absent, print_written
    from introspect.results.store import Store
    from introspect.results.tables import summaries, write_tables

    with Store.open(run) as store:
        made = summaries(store)
        print_written("tables", write_tables(store, made))
        print_absent(made.absent)


def plot(run: RunFolder) -> None:
    """Draw the run's figures again, as PNG and PDF."""
    from introspect.cli.printing import print_absent, print_written
    from introspect.results.figures import draw_all, write_figures
    from introspect.results.store import Store
    from introspect.results.tables import summaries

    with Store.open(run) as store:
        made = summaries(store)
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
