"""A crew: workers of one kind, which the driver starts, gives blocks and listens to.

Goes in: the options of a sweep. Comes out: processes on this machine, actors of a Ray cluster, or no crew at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch

from introspect.experiment.options import Options
from introspect.experiment.workers.events import Event, Job
from introspect.experiment.workers.trial_blocks import Block
from introspect.families.placement import device_named


class Crew(Protocol):
    """Workers under numbers. A worker that died is forgotten, and its number not used again."""

    @property
    def size(self) -> int:
        """Return how many workers there should be at a time."""

    def start(self) -> int:
        """Start a worker and give its number; it says Ready later, maybe much later."""

    def submit(self, worker: int, block: Block) -> None:
        """Return a block to a worker that waits. If the worker is dead, that is told as an event."""

    def next(self, timeout: float) -> tuple[int, Event] | None:
        """Wait for a worker to tell something; None when none did within so many seconds."""

    def close(self) -> None:
        """End all workers at once, whatever they are doing."""


def wanted(options: Options) -> bool:
    """Tell whether a sweep is run by workers, and not in the process that was asked."""
    return options.ray is not None or (options.workers or 1) > 1


def sharing(options: Options) -> int:
    """Say how many workers share the memory of one device, as far as can be seen from here."""
    return gpu_sharers(options) or options.workers or 1


def gpu_sharers(options: Options) -> int:
    """Say how many workers share a GPU, 0 when there is none. Ray gives each its own."""
    workers, device = options.workers or 1, device_named(options.device)
    if device.type != "cuda":
        return 0
    if options.ray is not None:
        return 1
    return workers if device.index is not None else -(-workers // torch.cuda.device_count())


@contextmanager
def opened(options: Options, dtype: str, rows: int) -> Iterator[Crew]:
    """Open the crew that the options ask for, and end it afterwards, whatever happens."""
    own = replace(options, dtype=dtype, out=options.folder, workers=None, ray=None)
    job = Job(own, rows, Path.cwd())
    crew = _ray(job, options) if options.ray is not None else _processes(job, options)
    try:
        yield crew
    finally:
        crew.close()


def _processes(job: Job, options: Options) -> Crew:
    from introspect.experiment.workers.processes import Processes

    assert options.workers is not None, "processes are asked for by their number"
    return Processes(job, options.workers)


def _ray(job: Job, options: Options) -> Crew:
    from introspect.experiment.workers.ray import RayActors

    assert options.ray is not None, "a Ray cluster is asked for by its address"
    return RayActors(job, options.ray, options.workers)
