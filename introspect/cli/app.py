"""The typer application, with how errors and interruptions end it: 2 bad input, 1 failed, 130 interrupted."""

import errno
import signal
import sys
from itertools import pairwise
from typing import Any

import typer
from typer.core import TyperGroup

from introspect.cli.agree import agree
from introspect.cli.best import best
from introspect.cli.calibrate import calibrate
from introspect.cli.compare import compare
from introspect.cli.concepts import concepts
from introspect.cli.dynamics import dynamics
from introspect.cli.grade import grade
from introspect.cli.label import label
from introspect.cli.models import models
from introspect.cli.monitor import monitor
from introspect.cli.plot import plot
from introspect.cli.power import power
from introspect.cli.prompts import prompts
from introspect.cli.protocols import protocols
from introspect.cli.report import report
from introspect.cli.show import show
from introspect.cli.sweep import sweep
from introspect.cli.table import table
from introspect.cli.trajectory import trajectory
from introspect.errors import InputError, InterruptionError
from introspect.records.old_names import new_option
from introspect.results.store.connection import StoreError
from introspect.selection import shown

UsageError: Any = typer.BadParameter.__bases__[0]
"""What cannot be parsed; typer keeps its class in another place in each version. Any: for the same reason."""


class Commands(TyperGroup):
    """The commands in the order in which they are registered, with our own errors as one line each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Any: typer's own context
        """Refuse an empty value of any option, which a shell makes of an unset variable, before anything reads it."""
        for before, word in pairwise(["introspect", *args]):
            if word == "" or (word.startswith("--") and word.endswith("=")):
                name = before if word == "" else word.removesuffix("=")
                raise _ended(f"{name} '': is empty; give a value, or leave it out", 2)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # Any: typer's own context and results
        """Run a command; an error of the user or of the disk becomes a line on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise _ended(str(error), 2) from None
        except UsageError as error:
            raise _ended(error.format_message(), 2) from None
        except BrokenPipeError:
            raise typer.Exit(128 + signal.SIGPIPE) from None
        except (StoreError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # no file that could be there
                raise _ended(f"{shown(str(error.filename))}: is too long for the name of a file", 2) from None
            raise _ended(str(error), 1) from None
        except InterruptionError as stopped:
            raise _ended(str(stopped), 130) from None
        except KeyboardInterrupt:
            raise _ended("interrupted; the same command continues", 130) from None


def _ended(why: str, code: int) -> typer.Exit:
    sys.stderr.write(f"introspect: {' '.join(why.split())}\n")
    return typer.Exit(code)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"token_normalize_func": new_option},  # for all commands, and no help shows the old names
    help="When a thought is put into a looped language model, does the model notice, and in which loop?",
)
READERS = (table, plot, show, report, label, agree, best, compare)
ANALYSES = (monitor, dynamics, trajectory)
for command in (sweep, calibrate, grade, *READERS, *ANALYSES, power, models, concepts, protocols, prompts):
    app.command()(command)
