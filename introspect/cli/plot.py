"""The command `plot`: the figures of a run, drawn again. It needs neither a model nor torch."""

from typing import Annotated

import typer

from introspect.cli.table import CoherenceOption, RunFolder, gate

Width = Annotated[
    str | None, typer.Option(help="one or two: just as wide as the columns of a page. Default: by their panels.")
]


def plot(run: RunFolder, coherence: CoherenceOption = "rules", width: Width = None) -> None:
    """Draw the run's figures again, as PNG and PDF.

    Example for a paper in two columns: introspect plot runs/demo --width one
    """
    from introspect.cli.printing import print_absent, print_written
    from introspect.results.figures.all_figures import draw_all, write_figures
    from introspect.results.figures.layout import WIDTHS
    from introspect.results.store.store import Store
    from introspect.results.tables.all_tables import summaries
    from introspect.selection import one_of

    if width is not None:
        one_of(width, tuple(WIDTHS), kind="width")
    with Store.open(run) as store:
        made = summaries(store, gate(coherence))
        drawn = draw_all(made.made, width)
        print_written("figures", write_figures(store, drawn))
        print_absent(made.absent | drawn.absent)
