"""The command `label`: a sheet for human labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    pass

_Sheet = Annotated[Path | None, typer.Option(help="The sheet; default: labels.csv in the run. Never overwritten.")]


def label(
    run: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    n: Annotated[int, typer.Option("--n", help="Answers to be labelled, the same number from every cell.")] = 100,
    out: _Sheet = None,
    seed: Annotated[int, typer.Option(help="Which answers are drawn, and in which order.")] = 0,
) -> None:
    """Write a sheet for human labels: drawn evenly over the cells, shuffled, blind to the arm and the site.

    Fill in yes or no; leave empty what you cannot tell. Example: introspect label runs/demo --n 200
    """
    from introspect.cli.printing import OUT, print_written
    from introspect.results.store.store import Store
    from introspect.results.tables.trials.label_sheet import write_sheet

    path = run / "labels.csv" if out is None else out
    with Store.open(run) as store:
        written = write_sheet(store, path, n=n, seed=seed)
    print_written(f"{written} answers to label", [path])
    OUT.print(f"fill in what to_fill_in names, then: introspect agree {run} --labels {path}", markup=False)
