"""The command `sweep`: its options are those of `Options`."""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Annotated, Any

import typer

from introspect.cli.given import with_options
from introspect.experiment.options import Options
from introspect.experiment.preconditions import check_surroundings
from introspect.experiment.spelling import respelled
from introspect.records.trial import NOT_INJECTED
from introspect.results.store.store import Store

LEAST_CONCEPTS = 6
"""2 of 2^5 flips are as far from 0 as five concepts on one side: p = .06."""


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
    options = options if dry_run else respelled(options, Store.manifest_in(options.folder))
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
        swept = run_sweep(options, _after(_few(options), progress.report))
    print_swept(swept)
    if swept.failed:
        raise typer.Exit(1)


def _few(options: Options) -> str | None:
    """Return the line on too few concepts for any test, None where there are enough or nothing is injected."""
    words = len(options.words())
    if words >= LEAST_CONCEPTS or set(options.chosen_arms()) <= set(NOT_INJECTED):
        return None
    return f"{words} concepts: sign flips over fewer than {LEAST_CONCEPTS} cannot reach p < .05, whatever is found"


def _after(line: str | None, report: Callable[..., None]) -> Callable[..., None]:
    """Make a report that prints a line before its first one: when the model is loaded and nothing was refused."""
    lines = [] if line is None else [line]

    def reported(*told: Any) -> None:  # Any: what `report` takes
        while lines:
            typer.echo(lines.pop())
        report(*told)

    return reported


def _dry_run(options: Options) -> None:
    """Print what a sweep would take: what is counted at once, and its time when a sample was run."""
    from introspect.cli.printing import print_counts, print_timed
    from introspect.cli.progress import Progress
    from introspect.experiment.design_version import unmatched_said
    from introspect.experiment.estimate import estimate

    with Progress("model and concept vectors"):
        estimated = estimate(options)
    print_counts(estimated)
    laboratory = estimated.laboratory
    unmatched = unmatched_said(laboratory.design, laboratory.options, estimated.vectors)
    for line in filter(None, (_few(options), unmatched)):
        typer.echo(line)
    print_timed(estimated)
