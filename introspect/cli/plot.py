"""The command `plot`: the figures of a run, drawn again. It needs neither a model nor torch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass
from introspect.cli.table import Coherence, RunFolder, gate


def plot(run: RunFolder, coherence: Coherence = "rules") -> None:
    """Draw the run's figures again, as PNG and PDF."""
    from introspect.cli.printing import print_absent, print_written
    from introspect.results.figures.all_figures import draw_all, write_figures
    from introspect.results.store.store import Store
    from introspect.results.tables.all_tables import summaries

    with Store.open(run) as store:
        made = summaries(store, gate(coherence))
        drawn = draw_all(made.made)
        print_written("figures", write_figures(store, drawn))
        print_absent(made.absent | drawn.absent)
