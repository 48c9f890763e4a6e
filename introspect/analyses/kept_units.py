"""What an analysis has measured so far, kept unit by unit, so that a call that was stopped goes on where it was.

Goes in: what decides all numbers, and for each unit a function that measures it. Come out: its numbers, measured now or
by an earlier call of the same. A unit is a file that appears whole or not at all, named by the hash of all that decides
it, so that another model, another option or another text never finds it; it goes when the analysis is written.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from introspect.analyses.subject import Subject
from introspect.errors import InputError, InterruptionError
from introspect.experiment.sweep import Stopping, stop_after_block
from introspect.whole_files import replacing

KEPT_FOLDER = "kept"
"""Folder within that of an analysis, there while it is unfinished."""
Array = NDArray[Any]  # Any: of floats, whole numbers or truth values
_Measure = Callable[[], Mapping[str, Array]]
_Report = Callable[[int, int, str], None]
"""Told the units done, the units there are, and of what."""


@dataclass(frozen=True)
class Kept:
    """The numbers of one unit."""

    path: Path

    def __getitem__(self, name: str) -> Array:
        """Read an array."""
        with self._opened() as file:
            found: Array = file.get_tensor(name)
        return found

    def arrays(self) -> dict[str, Array]:
        """Read all arrays."""
        with self._opened() as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)

    def part(self, name: str, place: int) -> Array:
        """Read what an array holds at one place of its first axis, and no more."""
        with self._opened() as file:
            found: Array = file.get_slice(name)[place]
        return found

    def _opened(self) -> Any:  # Any: safetensors gives no type
        try:
            return safe_open(self.path, framework="numpy")
        except SafetensorError as error:
            raise InputError(f"{self.path}: {error}; delete it, and it is measured anew") from None


@dataclass
class Keeping:
    """Keeps the units of one call of an analysis."""

    folder: Path
    report: _Report = lambda *_: None
    stopping: Stopping = lambda: False
    decided_by: dict[str, Any] = field(default_factory=dict)  # Any: plain JSON
    """What decides the numbers of all units."""
    _used: set[Path] = field(default_factory=set)
    _stage: tuple[str, int] = ("units", 0)
    _done: int = 0

    def about(self, subject: Subject, **more: Any) -> None:
        """Say what decides all numbers: a model with its options, and what is asked beside them, as plain JSON."""
        options, looped = subject.laboratory.options, subject.tap.looped
        known = {**options.identity(), **subject.made_with, "device": looped.device.type, **more}
        self.decided_by = {**known, "version": version("introspect-loops")}

    def begin(self, stage: str, units: int) -> None:
        """Say what is measured from here on, and in how many units."""
        self._stage, self._done = (stage, units), 0
        self.report(0, units, stage)

    def unit(self, measure: _Measure, **which: Any) -> Kept:
        """Return the numbers of a unit of this stage, measured where they are not kept yet.

        Raises InterruptionError where Ctrl-C was pressed and something is left to measure.
        """
        stage, units = self._stage
        which_of_all = json.dumps([self.decided_by, stage, which], sort_keys=True)
        path = self.folder / f"{hashlib.sha256(which_of_all.encode()).hexdigest()}.safetensors"
        if not path.exists():
            if self.stopping():
                raise InterruptionError(f"stopped at {self._done} of {units} {stage}; the same command continues")
            arrays = {name: np.ascontiguousarray(array) for name, array in measure().items()}
            with replacing(path) as part:
                save_file(arrays, part)
        self._used.add(path)
        self._done += 1
        self.report(self._done, units, stage)
        return Kept(path)

    def finish(self) -> None:
        """Delete the units of this call; and the folder, if all that is left in it was never finished."""
        for path in self._used:
            path.unlink(missing_ok=True)
        left = list(self.folder.glob("*")) if self.folder.is_dir() else [self.folder]
        if all(path.name.startswith(".") for path in left) and self.folder.is_dir():
            for path in left:
                path.unlink(missing_ok=True)
            self.folder.rmdir()


@contextmanager
def keeping(folder: Path | None = None, report: _Report | None = None) -> Iterator[Keeping]:
    """Keep units in the folder of an analysis until the context is left without an error; None: in a temporary one.

    The first Ctrl-C ends it behind the unit that is being measured, the second one at once.
    """
    with TemporaryDirectory() as temporary, stop_after_block() as stopping:
        kept = Keeping(
            Path(temporary) if folder is None else folder / KEPT_FOLDER, report or (lambda *_: None), stopping
        )
        yield kept
        kept.finish()
