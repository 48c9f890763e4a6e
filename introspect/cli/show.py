"""The command `show`: one trial as it was asked, answered and graded."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    pass
from introspect.cli.table import RunFolder


def show(run: RunFolder, trial: Annotated[str, typer.Argument(help="Id of a trial, or the beginning of it.")]) -> None:
    """Show one trial: its prompt with the injection span marked, the answer, grades and read-outs."""
    from introspect.cli.printing import print_trial
    from introspect.experiment.run import Run

    with Run.open(run) as opened:
        found = opened.trial(trial)
        print_trial(found.record, opened.prompt(found.record), found.response, found.grades)
