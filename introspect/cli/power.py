"""The command `power`: how many concepts and trials a question needs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from introspect.cli.best import GraderOption, trials_of
from introspect.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Rates = Annotated[str | None, typer.Option(help="Rate with an injection and rate of the control, such as 0.2,0.05.")]
Pilot = Annotated[Path | None, typer.Option(help="Folder of a smaller sweep, whose rates are taken instead.")]
Icc = Annotated[
    str | None,
    typer.Option(help="Correlations of the repeats of a concept, 0 to 1; default: the pilot's, else 0,0.1,0.3."),
]


def power(
    rates: Rates = None,
    pilot: Pilot = None,
    power: Annotated[float, typer.Option(help="Wanted probability to find the difference.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Accepted probability to find one that is not there.")] = 0.05,
    repeats: Annotated[int, typer.Option(help="Trials of a concept in each arm and cell.")] = 1,
    icc: Icc = None,
    cells: Annotated[int, typer.Option(help="Cells that are tested; alpha is divided by them.")] = 1,
    grader: GraderOption = "rules",
) -> None:
    """Say how many concepts and trials a question needs, from two rates or from a pilot run.

    The numbers are those of one cell and one arm. Example: introspect power --rates 0.2,0.05 --repeats 4 --cells 12
    """
    from introspect.cli.printing import OUT
    from introspect.results.statistics.power_simulation import TEST
    from introspect.results.tables.rates.sample_size import Wanted, sizes, sizes_by_pilot
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
        table = sizes_by_pilot(trials_of(pilot, grader), grader, wanted, iccs)
    _print_sizes(table)
    corrected = f", divided by {cells} cells" if cells > 1 else ""
    OUT.print(
        f"\nconcepts for one cell, for power {power:g} at alpha {alpha:g}{corrected}, two-sided; "
        f"trials are of one arm\ntest: {TEST}, simulated"
    )


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
