"""The command `best`: the best cell of a run, chosen on half of the concepts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

GraderOption = Annotated[str, typer.Option(help="Whose verdicts: a grader of the run.")]


def best(
    run: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    grader: GraderOption = "rules",
    seed: Annotated[int, typer.Option(help="Which half of the concepts chooses.")] = 0,
) -> None:
    """Choose the best cell on half of the concepts and report it on the other half, beside the controls there.

    Of equal cells the first is taken. Example: introspect best runs/demo
    """
    from introspect.cli.printing import OUT, print_written
    from introspect.results.store.csv_files import write_table
    from introspect.results.tables.effects.best_cell import best_cells

    table = best_cells(trials_of(run, grader), grader, seed=seed)
    _print_best(table)
    OUT.print(
        "\nreport the held-out half; the half that chose is an optimist. Intervals are 95%, over concepts", markup=False
    )
    print_written("tables", [write_table(run, "best", table)])


def trials_of(run: Path, grader: str) -> "pd.DataFrame":
    """Read the narrow trials of a run that has this grader."""
    from introspect.results.store.store import Store
    from introspect.results.tables.trials.narrow_trials import narrow_trials
    from introspect.results.tables.trials.trials import stored_graders
    from introspect.selection import one_of

    with Store.open(run) as store:
        one_of(grader, stored_graders(store), kind=f"grader of {run}")
        return narrow_trials(store)


def _print_best(table: "pd.DataFrame") -> None:
    from introspect.cli.printing import between, print_rows

    columns = [str(name) for name in table.columns]
    place = columns[3 : columns.index("concepts")]
    bounded = [name.removesuffix("_low") for name in columns if name.endswith("_low")]
    controls = [name for name in bounded if name not in ("chosen", "value")]
    rows = [
        (
            *(row["question"], row["measure"], row["cells"], *(_shown(row[name]) for name in place)),
            *(between(row, name, f"{name}_low", f"{name}_high") for name in ("chosen", "value", *controls)),
            *(row["concepts"], f"{row['unknown']:.0%}"),
        )
        for _, row in table.iterrows()
    ]
    there = [f"{control} there" for control in controls]
    print_rows(
        ("question", "best by", "of", *place, "half that chose", "held-out half", *there, "concepts", "unknown"), rows
    )


def _shown(value: object) -> str:
    import pandas as pd

    missing = value is None or value is pd.NA or value != value  # a site outside of the loops has no loop
    return "" if missing else f"{value:g}" if isinstance(value, float) else str(value)
