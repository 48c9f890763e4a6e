"""The command `plot`: the figures of a run, drawn again. It needs neither a model nor torch."""

from introspect.cli.given import Width
from introspect.cli.table import CoherenceOption, RunFolder, gate


def plot(run: RunFolder, coherence: CoherenceOption = "rules", width: Width = None) -> None:
    """Draw the run's figures again, as PNG and PDF.

    Example for a paper in two columns: introspect plot runs/demo --width one
    """
    from introspect.cli.printing import print_absent, print_written
    from introspect.results.figures.all_figures import draw_all, write_figures
    from introspect.results.store.store import Store
    from introspect.results.tables.all_tables import summaries

    with Store.open(run) as store:
        made = summaries(store, gate(coherence))
        drawn = draw_all(made.made, width)
        print_written("figures", write_figures(store, drawn))
        print_absent(made.absent | drawn.absent)
