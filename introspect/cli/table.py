"""The command `table`: the tables of a run, written again. It needs neither a model nor torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from introspect.records.trial import Gate

RunFolder = Annotated[Path, typer.Argument(help="Folder of a sweep.")]
CoherenceOption = Annotated[
    str, typer.Option(help="Which answers count: rules (all that can be read), or model as well.")
]


def gate(coherence: str) -> "Gate":
    """Read the option."""
    from introspect.records.trial import GATES
    from introspect.selection import one_of

    return one_of(coherence, GATES, kind="coherence")


Brief = Annotated[bool, typer.Option("--brief", help="Rates, loops and read-outs alone, to watch a large run.")]


def table(run: RunFolder, coherence: CoherenceOption = "rules", *, brief: Brief = False) -> None:
    """Write the run's tables as CSV again.

    With --coherence model, verdicts on answers that the model without injection would hardly have written are unknown.
    --brief writes rates, loops and read-outs alone, without statistics over trials, to watch a run.
    """
    from introspect.cli.printing import print_absent, print_written
    from introspect.results.store.store import Store
    from introspect.results.tables.all_tables import brief as few
    from introspect.results.tables.all_tables import summaries, write_brief, write_tables

    with Store.open(run, hashed=not brief) as store:
        if brief:
            made = few(store, gate(coherence))
            print_written("tables", write_brief(store, made))
            print_absent(made.absent)
            return
        made = summaries(store, gate(coherence))
        print_written("tables", write_tables(store, made))
        print_absent(made.absent)
