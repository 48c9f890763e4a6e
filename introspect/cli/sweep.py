"""The command `sweep`: its options are those of `Options`."""

from dataclasses import fields
from functools import partial
from typing import Annotated, Any

import typer

from introspect.cli.given import with_options
from introspect.experiment.options import Options
from introspect.experiment.preconditions import check_surroundings


@partial(with_options, names=[each.name for each in fields(Options)])
def sweep(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count and estimate, for one worker; store nothing.")
    ] = False,
    **given: Any,  # Any: the options, which check themselves
) -> None:
    """Inject concept vectors at every chosen loop and layer, ask, grade, and write tables and figures.

    Example: introspect sweep organism:aware --loops all --strengths 0.5,1,2
    """
    options = Options(**given)
    check_surroundings(options, for_run=not dry_run)
    from introspect.cli.progress import Progress
    from introspect.cli.summary import print_swept
    from introspect.experiment.sweep import run_sweep
    from introspect.experiment.workers.crew import gpu_sharers

    if (sharers := gpu_sharers(options)) > 1:
        typer.echo(f"{options.workers} workers: up to {sharers} share a GPU", err=True)
    if dry_run:
        _dry_run(options)
        return
    with Progress() as progress:
        swept = run_sweep(options, progress.report)
    print_swept(swept)
    if swept.failed:
        raise typer.Exit(1)


def _dry_run(options: Options) -> None:
    """Print what a sweep would take: what is counted at once, and its time when a sample was run."""
    from introspect.cli.printing import print_counts, print_timing
    from introspect.cli.progress import Progress
    from introspect.experiment.estimate import BUDGET, estimate

    estimated = estimate(options)
    print_counts(estimated)
    typer.echo(f"timing a sample of the trials, about {BUDGET:.0f} seconds", err=True)
    with Progress("questions timed") as progress:
        timing = estimated.timing(progress.report)
    print_timing(timing)
