"""The command `table`: the tables of a run, written again. It needs neither a model nor torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from introspect.records.trial import Gate

RunFolder = Annotated[Path, typer.Argument(help="Folder of a sweep.")]
Coherence = Annotated[str, typer.Option(help="Which answers count: rules (all that can be read), or model as well.")]


def gate(coherence: str) -> "Gate":
    """Read the option."""
    from introspect.records.trial import GATES
    from introspect.selection import one_of

    return one_of(coherence, GATES, kind="coherence")


def table(run: RunFolder, coherence: Coherence = "rules") -> None:
    """Write the run's tables as CSV again.

    With --coherence model, verdicts on answers that the model without injection would hardly have written are unknown.
    """
    from introspect.cli.printing import print_absent, print_written
    from introspect.results.store.store import Store
    from introspect.results.tables.all_tables import summaries, write_tables

    with Store.open(run) as store:
        made = summaries(store, gate(coherence))
        print_written("tables", write_tables(store, made))
        print_absent(made.absent)
