"""A crew of processes on this machine, one a GPU, or sharing the processor's cores where there is none.

With fewer cores a matrix product may be added up in another order: numbers may differ in their last digits.
"""

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from introspect.experiment.workers.events import Died, Event, Job
from introspect.experiment.workers.trial_blocks import Block

SPAWN = get_context("spawn")
"""A forked process could not use a GPU that its parent has touched."""


@dataclass(frozen=True)
class _Member:
    process: BaseProcess
    connection: Connection
    seat: int
    """Which of the crew's places it takes, and with it which GPU."""


class Processes:
    """Workers as processes, each with a pipe to here; a process whose driver is gone ends by itself."""

    def __init__(self, job: Job, size: int) -> None:
        self.size = size
        self._job, self._numbers = job, itertools.count()
        self._members: dict[int, _Member] = {}

    def start(self) -> int:
        """Start a process, in the place of one that died if there was one."""
        worker = next(self._numbers)
        seat = min(set(range(self.size)) - {member.seat for member in self._members.values()})
        here, there = SPAWN.Pipe()
        process = SPAWN.Process(target=_serve, args=(seated(self._job, seat, self.size), there), daemon=True)
        with _unheard(signal.SIGINT):
            process.start()
        there.close()  # the child has its own; with this one open its death would go unnoticed
        self._members[worker] = _Member(process, here, seat)
        return worker

    def submit(self, worker: int, block: Block) -> None:
        """Send a block; a broken pipe is told by `next`, which finds it at the other end."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._members[worker].connection.send(block)

    def next(self, timeout: float) -> tuple[int, Event] | None:
        """Receive what some worker told."""
        workers = {member.connection: worker for worker, member in self._members.items()}
        for connection in wait(list(workers), timeout):
            assert isinstance(connection, Connection)
            worker = workers[connection]
            event = self._received(self._members[worker])
            if isinstance(event, Died):
                self._end(self._members.pop(worker))
            return worker, event
        return None

    def close(self) -> None:
        """Kill all processes: nothing that they hold is needed."""
        while self._members:
            self._end(self._members.popitem()[1])

    def _received(self, member: _Member) -> Event:
        try:
            event: Event = member.connection.recv()
        except (EOFError, OSError):  # it was killed, maybe in the middle of a message
            member.process.join()
            return Died(f"process {member.process.pid} {_ended(member.process.exitcode)}")
        return event

    def _end(self, member: _Member) -> None:
        member.connection.close()
        member.process.kill()
        member.process.join()
        member.process.close()


def seated(job: Job, seat: int, size: int) -> Job:
    """Return a worker the GPU of its place, unless one device was asked for, and its share of the cores."""
    import torch

    gpus = torch.cuda.device_count()
    spread = gpus and job.options.device in ("auto", "cuda")
    device = f"cuda:{seat % gpus}" if spread else job.options.device
    return replace(job, options=replace(job.options, device=device), threads=max(1, torch.get_num_threads() // size))


def _serve(job: Job, connection: Connection) -> None:
    """Be a worker until the driver is gone or the worker can no longer be trusted."""
    from introspect.experiment.workers.worker import Worker  # takes seconds

    worker = Worker(job)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        event = worker.open()
        connection.send(event)
        while not isinstance(event, Died):
            event = worker.run(connection.recv())
            connection.send(event)


@contextmanager
def _unheard(number: signal.Signals) -> Iterator[None]:
    """Block a signal; a process started meanwhile never hears it: Ctrl-C reaches a terminal's processes all."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"was killed by {signal.Signals(-exitcode).name}"
    return f"ended with exit code {exitcode}"
