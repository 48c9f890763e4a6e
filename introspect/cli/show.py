"""The command `show`: one trial as it was asked, answered and graded; or whether the run is whole."""

from typing import Annotated

import typer

from introspect.cli.table import RunFolder
from introspect.errors import InputError

_Check = Annotated[bool, typer.Option("--check", help="Verify the whole store instead: types, ids, references, file.")]


def show(
    run: RunFolder,
    trial: Annotated[str | None, typer.Argument(help="Id of a trial, or the beginning of it.")] = None,
    check: _Check = False,
) -> None:
    """Show one trial: its prompt with the injection span marked, the answer, grades and read-outs.

    With --check instead of a trial, every row of the store is verified, and each trial's id against its hash.
    """
    from introspect.cli.printing import OUT, print_trial
    from introspect.experiment.run import Run

    if (trial is None) != check:
        raise InputError("show: give either the id of a trial or --check")
    with Run.open(run) as opened:
        if trial is None:
            opened.check()
            store = opened.store
            said = f"{store.path}: whole; {store.count()} trials with a response, {store.count('error')} that failed"
            OUT.print(said, markup=False)
            return
        found = opened.trial(trial)
        print_trial(found.record, opened.prompt(found.record), found.response, found.grades)
