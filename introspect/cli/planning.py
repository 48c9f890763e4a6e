"""The commands about where and how large: `power` before a sweep, `best` after it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from introspect.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Rates = Annotated[str | None, typer.Option(help="Rate with an injection and rate of the control, such as 0.2,0.05.")]
Pilot = Annotated[Path | None, typer.Option(help="Folder of a smaller sweep, whose rates are taken instead.")]
Icc = Annotated[
    str | None,
    typer.Option(help="Correlations of the repeats of a concept, 0 to 1; default: the pilot's, else 0,0.1,0.3."),
]
Grader = Annotated[str, typer.Option(help="Whose verdicts: a grader of the run.")]


def power(
    rates: Rates = None,
    pilot: Pilot = None,
    power: Annotated[float, typer.Option(help="Wanted probability to find the difference.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Accepted probability to find one that is not there.")] = 0.05,
    repeats: Annotated[int, typer.Option(help="Trials of a concept in each arm and cell.")] = 1,
    icc: Icc = None,
    cells: Annotated[int, typer.Option(help="Cells that are tested; alpha is divided by them.")] = 1,
    grader: Grader = "rules",
) -> None:
    """Say how many concepts and trials a question needs, from two rates or from a pilot run.

    The numbers are those of one cell and one arm. Example: introspect power --rates 0.2,0.05 --repeats 4 --cells 12
    """
    from introspect.cli.printing import OUT
    from introspect.results.planning import Wanted, sizes, sizes_by_pilot
    from introspect.selection import numbers

    if (rates is None) == (pilot is None):
        raise InputError("power: give either --rates 0.2,0.05 or --pilot RUN")
    wanted = Wanted(power, alpha, repeats, cells)
    iccs = [] if icc is None else numbers(icc, option="icc")
    if pilot is None:
        pair = numbers(str(rates), option="rates")
        if len(pair) != 2:
            raise InputError(f"rates: {rates!r} are not two different rates; write them like 0.2,0.05")
        table = sizes(pair[0], pair[1], wanted, iccs)
    else:
        table = sizes_by_pilot(_trials(pilot, grader), grader, wanted, iccs)
    _print_sizes(table)
    corrected = f", divided by {cells} cells" if cells > 1 else ""
    OUT.print(
        f"\nconcepts for one cell, for power {power:g} at alpha {alpha:g}{corrected}, two-sided; trials are of one arm"
    )


def best(
    run: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    grader: Grader = "rules",
    seed: Annotated[int, typer.Option(help="Which half of the concepts chooses.")] = 0,
) -> None:
    """Choose the best cell on half of the concepts and report it on the other half, beside the controls there.

    Of equal cells the first is taken. Example: introspect best runs/demo
    """
    from introspect.cli.printing import OUT, print_written
    from introspect.results.choosing import best_cells
    from introspect.results.files import write_table

    table = best_cells(_trials(run, grader), grader, seed=seed)
    _print_best(table)
    OUT.print(
        "\nreport the held-out half; the half that chose is an optimist. Intervals are 95%, over concepts", markup=False
    )
    print_written("tables", [write_table(run, "best", table)])


def _trials(run: Path, grader: str) -> "pd.DataFrame":
    """Read the narrow trials of a run that has this grader."""
    from introspect.results.narrow import narrow_trials
    from introspect.results.store import Store
    from introspect.results.trials import stored_graders
    from introspect.selection import one_of

    with Store.open(run) as store:
        one_of(grader, stored_graders(store), kind=f"grader of {run}")
        return narrow_trials(store)


def _print_sizes(table: "pd.DataFrame") -> None:
    from introspect.cli.printing import print_rows

    rows = []
    for _, row in table.iterrows():
        known = row["concepts"] == row["concepts"]
        counts = [f"{row[name]:.0f}" for name in ("concepts", "repeats", "trials")] if known else ["no number", "", ""]
        icc = f"{row['icc']:.2f}" if known and row["repeats"] > 1 else ""
        reached = f"{row['power']:.2f}" if known else ""
        rows.append((row["about"], f"{row['rate']:.3g}", f"{row['control']:.3g}", icc, *counts, reached))
    header = ("rate", "control", "icc", "concepts", "repeats", "trials", "power")
    if not table["about"].any():
        rows = [row[1:] for row in rows]
    print_rows((*(("pilot",) if table["about"].any() else ()), *header), rows)


def _print_best(table: "pd.DataFrame") -> None:
    from introspect.cli.agreeing import between
    from introspect.cli.printing import print_rows

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
