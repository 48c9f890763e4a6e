"""Options that several commands share: those of a sweep, the width of figures; and which of all the user gave."""

from collections.abc import Iterable, Sequence
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from introspect.errors import InputError
from introspect.experiment.options import SOURCE, Options
from introspect.selection import one_of

OF_RUN = tuple(name for name in SOURCE if name != "trust_remote_code")
"""What finds a model and a run says for itself; whether its code may run is asked anew."""


def _known_width(width: str | None) -> str | None:
    """Return the width of a page if it is one. Raises InputError otherwise, before anything is run."""
    if width is not None:
        from introspect.results.figures.layout import WIDTHS  # matplotlib takes a second

        one_of(width, tuple(WIDTHS), kind="width")
    return width


Width = Annotated[
    str | None,
    typer.Option(
        help="one or two: just as wide as the columns of a page. Default: by their panels.", callback=_known_width
    ),
]
"""How wide the figures of a command are, for `page_width`."""


# Any, in both: a command, whose signature typer reads
def with_options(command: Any, names: Iterable[str], *, before: str | None = None) -> Any:
    """Return a command options of a sweep, in place of its last parameter, `**named`.

    Args:
        command: a function whose last parameter takes all other keywords.
        names: fields of `Options`, whose names, types, defaults and help the options have.
        before: the parameter of the command that they stand before; the first when left out.
    """
    *own, _ = Signature.from_callable(command, eval_str=True).parameters.values()
    place = 0 if before is None else [each.name for each in own].index(before)
    taken = [_parameter(name) for name in names]
    parameters = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in (*own[:place], *taken, *own[place:])]
    command.__signature__ = Signature(parameters)
    command.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": None}
    return command


def with_source(command: Any) -> Any:
    """Return a command the options that find a model, before its option `device`; it gets them as `**source`."""
    return with_options(command, SOURCE, before="device")


def _parameter(name: str) -> Parameter:
    kind, said = get_args(get_type_hints(Options, include_extras=True)[name])
    declared = typer.Argument(help=said) if name == "model" else typer.Option(help=said)
    default = Options.__dataclass_fields__[name].default
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared])


def given(ctx: Any, name: str) -> bool:  # Any: typer keeps the class of its context in another place in each version
    """Tell whether an option stands on the command line."""
    return getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"


def refuse_of_run(ctx: Any, names: Sequence[str], run: Path | None) -> None:  # Any: as above
    """Raise InputError for an option that is given although the run already says it."""
    for name in names if run is not None else ():
        if given(ctx, name):
            raise InputError(f"{name}: is that of the run {run}; leave it out, or leave out --run")


def refuse_beside(ctx: Any, option: str, names: Sequence[str]) -> None:  # Any: as above
    """Raise InputError for an option that another one leaves without a meaning."""
    for name in names:
        if given(ctx, name):
            raise InputError(f"{name}: has no meaning with --{option}; leave it out")
