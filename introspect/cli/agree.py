"""The command `agree`: graders against one another and against human labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from introspect.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
from introspect.cli.printing import between

_Graders = Annotated[str | None, typer.Option(help="Graders of the run to compare, such as rules,judge; default: all.")]
_Labels = Annotated[Path | None, typer.Option(help="The sheet of `introspect label`, filled in with yes and no.")]


def agree(
    run: Annotated[Path, typer.Argument(help="Folder of a sweep.")], labels: _Labels = None, graders: _Graders = None
) -> None:
    """Compare graders with one another and with human labels, and correct the rates by what the labels say.

    Kappa, sensitivity and specificity come with 95% intervals. Example: introspect agree runs/demo --labels sheet.csv
    """
    from introspect.cli.printing import OUT, print_written
    from introspect.results.store.csv_files import write_table
    from introspect.results.store.store import Store
    from introspect.results.tables.rates.agreement import agreement_table, corrected_table, uncovered
    from introspect.results.tables.trials.human_labels import with_labels
    from introspect.results.tables.trials.label_sheet import answered_trials
    from introspect.results.tables.trials.trials import stored_graders

    with Store.open(run) as store:
        chosen = _chosen(run, stored_graders(store), graders, alone=labels is not None)
        trials = answered_trials(store)
    made = {}
    if labels is not None:
        trials = with_labels(trials, labels, run)
        made["corrected"] = corrected_table(trials, chosen)
    made = {"agreement": agreement_table(trials, chosen), **made}
    if made["agreement"].empty:
        raise InputError(f"{run}: {_sides(chosen, labels)} have no verdict on the same measure to compare")
    _print_agreement(made["agreement"])
    if labels is not None:
        _print_corrected(made["corrected"])
        for group in uncovered(trials):
            OUT.print(f"no label of {group}: the labels say nothing about it", markup=False)
    print_written("tables", [write_table(run, name, table) for name, table in made.items()])


def _chosen(run: Path, stored: list[str], graders: str | None, *, alone: bool) -> list[str]:
    from introspect.selection import names

    chosen = stored if graders is None else names(graders, stored, option="graders", kind="grader of this run")
    if not chosen or (len(chosen) == 1 and not alone):
        there = f"one grader, {chosen[0]}" if chosen else "no grader"
        raise InputError(f"{run}: {there}, and none to compare; give --labels, or first grade by another one")
    return chosen


def _sides(graders: list[str], labels: Path | None) -> str:
    return ", ".join([*graders, *([] if labels is None else [str(labels)])])


def _print_agreement(table: "pd.DataFrame") -> None:
    """Print kappa of every two, and what labels say about a grader, a measure a line."""
    from introspect.cli.printing import OUT, print_rows

    beside = [name for name in ("sensitivity", "specificity") if name in table]
    rows = [
        (
            *(row["first"], row["second"], row["measure"], row["n"], row["same"]),
            *(f"{row['unknown_first']}, {row['unknown_second']}", between(row, "kappa", "low", "high")),
            *(between(row, name, f"{name}_low", f"{name}_high") for name in beside),
        )
        for _, row in table.iterrows()
    ]
    print_rows(("first", "second", "measure", "n", "same", "unknown", "kappa", *beside), rows)
    if table["kappa"].isna().any():
        OUT.print("no kappa where both sides give one and the same verdict throughout")


def _print_corrected(table: "pd.DataFrame") -> None:
    """Print the rates of each arm before and after the correction; those of each cell are in the table."""
    from introspect.cli.printing import OUT, print_rows

    arms = table[table["pooled"] == "arm"]
    rows = [
        (
            *(row["grader"], row["measure"], row["template"], row["question"], row["arm"], f"{row['k']}/{row['n']}"),
            *(between(row, name, *(f"{start}low", f"{start}high")) for name, start in _RATES),
        )
        for _, row in arms.iterrows()
    ]
    OUT.print("")
    print_rows(("grader", "measure", "template", "question", "arm", "k/n", "graded", "corrected by the labels"), rows)
    for arm, errors_of in sorted(set(zip(arms["arm"], arms["errors_of"], strict=True))):
        if errors_of != "its arm":
            OUT.print(f"arm {arm}: corrected by the grader's errors in all arms ({errors_of})", markup=False)
    if (arms["corrected_low"] == arms["corrected_high"]).any():
        OUT.print(
            "an interval without width: more, or fewer, are graded yes than the grader's errors in the labels allow"
        )
    if arms["corrected"].isna().any():
        OUT.print("no correction where no label is yes, or none is no, or the grader is no better than a coin")


_RATES = (("rate", ""), ("corrected", "corrected_"))
"""A rate in the table, and what its bounds begin with."""
