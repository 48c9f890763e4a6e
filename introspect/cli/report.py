"""The command `report`: the page of a run, and its tables in LaTeX. It needs neither a model nor torch."""

from pathlib import Path
from typing import Annotated

import typer

from introspect.cli.table import CoherenceOption, gate


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    out: Annotated[Path | None, typer.Option(help="File of the page; RUN/report.html when left out.")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Write RUN/tables/*.tex as well.")] = False,
    coherence: CoherenceOption = "rules",
) -> None:
    """Write the report of a run, finished or not, as one HTML page that needs nothing else.

    Example: introspect report runs/demo --latex
    """
    from introspect.cli.printing import print_written
    from introspect.report.findings import Findings
    from introspect.report.writing import write_latex, write_report
    from introspect.results.store.store import Store

    with Store.open(run) as store:
        found = Findings(store, gate(coherence))
        print_written("report", [write_report(found, out)])
        if latex:
            print_written("LaTeX tables", write_latex(found))
