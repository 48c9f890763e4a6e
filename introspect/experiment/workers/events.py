"""What the driver and its workers tell each other. Light to import: a worker reads this before it loads anything."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from introspect.errors import InputError
from introspect.experiment.options import Options

if TYPE_CHECKING:
    from introspect.injection.engine.block_stream import Result
    from introspect.injection.prefix.work import Work
    from introspect.records.response import Grade


@dataclass(frozen=True)
class Job:
    """What a worker needs to get ready."""

    options: Options
    """Those of the sweep, with the number format named and the device that is this worker's."""
    rows: int
    """Most trials side by side: the driver's choice, the same for all."""
    directory: Path
    """Where the driver runs: what relative paths in the options start from."""
    threads: int | None = None
    """CPU threads of this worker; None leaves them as they are."""


@dataclass(frozen=True)
class Ready:
    """The worker has its model and waits for blocks."""


@dataclass(frozen=True)
class Done:
    """The worker has run a block."""

    name: str
    """The block's."""
    results: "list[Result]"
    grades: "list[Grade]"
    work: "Work"
    seconds: float
    """How long it took."""


@dataclass(frozen=True)
class Refused:
    """The worker met bad input of the user, which the next worker would meet as well."""

    error: InputError


@dataclass(frozen=True)
class Died:
    """The worker is gone, or can no longer be trusted."""

    reason: str


Event = Ready | Done | Refused | Died
