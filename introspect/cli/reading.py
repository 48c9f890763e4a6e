"""The commands that read a run: `grade`, `table`, `plot`, `show`. None of them needs a model or torch."""

from pathlib import Path
from typing import Annotated

import typer

from introspect.cli.printing import print_trial, print_written
from introspect.records import Grade, Response
from introspect.results.store import Store

RunFolder = Annotated[Path, typer.Argument(help="Folder of a sweep.")]


def grade(
    run: RunFolder, grader: Annotated[str, typer.Option(help="rules, logits, or both separated by a comma.")] = "rules"
) -> None:
    """Grade the stored responses again; responses are not touched."""
    from introspect.grading import GRADERS, grader_named
    from introspect.results.tables import write_tables
    from introspect.selection import names

    chosen = [grader_named(name) for name in names(grader, tuple(GRADERS), option="grader", kind="grader")]
    with Store.open(run, write=True) as store:
        done = store.done_ids()
        pairs = ((trial, store.response(trial.id)) for trial in store.trials() if trial.id in done)
        grades: list[Grade] = [judge(trial, response) for trial, response in pairs for judge in chosen]
        store.put_grades(grades)
        print_written(f"{len(grades)} grades by {grader}", write_tables(store))


def table(run: RunFolder) -> None:
    """Write the run's tables as CSV again."""
    from introspect.results.tables import write_tables

    with Store.open(run) as store:
        print_written("tables", write_tables(store))


def plot(run: RunFolder) -> None:
    """Draw the run's figures again, as PNG and PDF."""
    from introspect.results.figures import write_figures

    with Store.open(run) as store:
        print_written("figures", write_figures(store))


def show(
    run: RunFolder, trial: Annotated[str, typer.Argument(help="Id of a trial, or the beginning of it.")]
) -> None:
    """Show one trial: its prompt with the injection span marked, the answer, grades and read-outs."""
    from introspect.prompts import render
    from introspect.run import Run

    with Store.open(run) as store:
        opened = Run(store)
        found = opened.trial(trial)
        response: Response = found.response
        print_trial(found.record, render(opened.template()), response, found.grades)
