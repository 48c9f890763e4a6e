"""The command `sweep`: its options are those of `Options`."""

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, get_args, get_type_hints

import typer

from introspect.experiment.options import Options
from introspect.experiment.preconditions import check_surroundings
from introspect.records.trial import NOT_INJECTED


def _with_options(command: Any) -> Any:  # Any: typer reads the signature that is made here
    """Give a command the options of a sweep: their names, types, defaults and help are those of `Options`."""
    own = list(Signature.from_callable(command).parameters.values())[:-1]
    parameters = [_parameter(name, hint) for name, hint in get_type_hints(Options, include_extras=True).items()]
    command.__signature__ = Signature([*parameters, *own])
    command.__annotations__ = {each.name: each.annotation for each in (*parameters, *own)} | {"return": None}
    return command


LEAST_CONCEPTS = 6
"""2 of 2^5 flips are as far from 0 as five concepts on one side: p = .06."""


def _parameter(name: str, hint: Any) -> Parameter:  # Any: a type with its help
    kind, said = get_args(hint)
    declared = typer.Argument(help=said) if name == "model" else typer.Option(help=said)
    default = Options.__dataclass_fields__[name].default
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared])


@_with_options
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
    from introspect.cli.printing import print_counts, print_timing
    from introspect.cli.progress import Progress
    from introspect.experiment.estimate import BUDGET, estimate

    estimated = estimate(options)
    print_counts(estimated)
    if few := _few(options):
        typer.echo(few)
    typer.echo(f"timing a sample of the trials, about {BUDGET:.0f} seconds", err=True)
    with Progress("questions timed") as progress:
        timing = estimated.timing(progress.report)
    print_timing(timing)
