"""The command `compare`: two runs side by side. It needs neither a model nor torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from introspect.cli.best import GraderOption

_SHOWN = ("contrast", "injected", "random", "detected", "identified", "correct")
"""Measures that are printed; the table has all."""

if TYPE_CHECKING:
    from introspect.experiment.comparison import Comparison


def compare(
    run_a: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    run_b: Annotated[Path, typer.Argument(help="Folder of another one; differences are this one minus the first.")],
    grader: GraderOption = "rules",
    out: Annotated[Path | None, typer.Option(help="Folder in which to write tables/compare.csv.")] = None,
) -> None:
    """Compare rates and contrasts of two runs, with 95% intervals for the differences.

    They are paired over shared concepts. Example: introspect compare runs/before runs/after --out runs/change
    """
    from introspect.cli.printing import print_written
    from introspect.errors import InputError
    from introspect.experiment.comparison import compare as compared
    from introspect.results.store.csv_files import write_table

    if out is not None and (not out.name or (out.exists() and not out.is_dir())):
        raise InputError(f"out: {str(out)!r} is no folder; name one, such as runs/change")
    found = compared(run_a, run_b, grader=grader)
    _print_comparison(found)
    if out is not None:
        print_written("tables", [write_table(out, "compare", found.table)])


def _print_comparison(found: "Comparison") -> None:
    from introspect.cli.printing import OUT, between, print_rows

    names = ("a", "b")
    OUT.print(f"a: {found.names[0]}\nb: {found.names[1]}", markup=False)
    for setting, (first, second) in found.differ_in.items():
        OUT.print(f"differ in {setting}: {first} and {second}", markup=False)
    rows = [
        (
            *(
                "" if row[name] is None or row[name] != row[name] else row[name]
                for name in ("question", "template", "arm")
            ),
            row["measure"],
            *(between(row, name, f"{name}_low", f"{name}_high") for name in names),
            between(row, "difference", "low", "high"),
            f"{row['pairing']}, {row['a_concepts']} and {row['b_concepts']}",
            " and ".join(f"{row[f'{name}_unknown']:.0%}" for name in names),
            row["note"] if isinstance(row["note"], str) else "",
        )
        for _, row in found.overall.iterrows()
        if row["measure"] in _SHOWN
    ]
    print_rows(("question", "wording", "arm", "measure", "a", "b", "b minus a", "concepts", "unknown", "note"), rows)
    OUT.print("")
    for sentence in found.sentences:
        OUT.print(sentence, markup=False)
    OUT.print("rows are over all cells of each run; cells that both runs have are in the table", markup=False)
