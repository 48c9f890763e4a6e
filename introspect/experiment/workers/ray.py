"""A crew of Ray actors: on this machine, or on the nodes of a cluster that come and go.

An actor takes one GPU where the cluster has any, else one core. Actors for which there is no room wait until a node
joins; those of a node that leaves have died.
"""

import itertools
import logging
import os
import signal
import socket
import threading
from typing import Any

import ray
from ray._private import ray_constants
from ray.exceptions import RayError

from introspect.errors import InputError
from introspect.experiment.workers.events import Died, Event, Job
from introspect.experiment.workers.trial_blocks import Block

LOCAL = "local"
LOOPBACK = "127.0.0.1"
"""Where a local cluster listens: who else reaches this machine has no business there."""
STORE_BYTES = 200_000_000
"""Shared memory for messages of a local cluster; Ray's default is a third of the machine's memory."""


class RayActors:
    """Workers as actors."""

    def __init__(self, job: Job, address: str, size: int | None) -> None:
        """Connect to the cluster, or start one on this machine. Raises InputError when no cluster answers."""
        self._job = job
        self._before = signal.getsignal(signal.SIGTERM)
        _connect(address, size)
        self._terminated: list[int] = []
        """Signals to end that came; they are noted, since what a handler raises is lost within a call of Ray."""
        _hear_sigterm(lambda number, _: self._terminated.append(number))  # Ray would print a stack of C++ and abort
        there = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's own lack
        gpus = 0 if job.options.device == "cpu" else int(there.get("GPU", 0))
        self.size = size or gpus or 1
        needs = ray.remote(num_gpus=1, num_cpus=0) if gpus else ray.remote(num_gpus=0, num_cpus=1)
        self._actor: Any = needs(_Actor)  # Any: Ray makes the class
        self._numbers = itertools.count()
        self._actors: dict[int, Any] = {}
        self._told: dict[Any, int] = {}
        """The worker of each answer that is awaited, by Ray's reference to it."""

    def start(self) -> int:
        """Ask for an actor."""
        worker = next(self._numbers)
        self._actors[worker] = actor = self._actor.remote(self._job)
        self._told[actor.open.remote()] = worker
        return worker

    def submit(self, worker: int, block: Block) -> None:
        """Return an actor a block."""
        self._told[self._actors[worker].run.remote(block)] = worker

    def next(self, timeout: float) -> tuple[int, Event] | None:
        """Fetch what some actor told. Raises SystemExit after SIGTERM, so that the crew is closed on the way out."""
        answers, _ = ray.wait(list(self._told), num_returns=1, timeout=timeout)
        if self._terminated:
            raise SystemExit(128 + self._terminated[0])
        if not answers:
            return None
        worker = self._told.pop(answers[0])
        event = _fetched(answers[0])
        if isinstance(event, Died):
            ray.kill(self._actors.pop(worker))
        return worker, event

    def close(self) -> None:
        """End all actors, and the cluster if it was started here."""
        for actor in self._actors.values():
            ray.kill(actor)
        ray.shutdown()
        _hear_sigterm(self._before)


class _Actor:
    """A worker that is made where Ray puts it; the model is loaded there and not before."""

    def __init__(self, job: Job) -> None:
        from introspect.experiment.workers.worker import Worker

        self._worker = Worker(job)

    def open(self) -> Event:
        return self._worker.open()

    def run(self, block: Block) -> Event:
        return self._worker.run(block)


def _fetched(answer: Any) -> Event:  # Any: Ray's reference
    try:
        event: Event = ray.get(answer)
    except RayError as error:
        return Died(f"Ray: {str(error).strip().splitlines()[0]}")
    return event


def _hear_sigterm(answer: Any) -> None:  # Any: what `signal` takes
    """Set what is done at SIGTERM, where that can be set: in the main thread."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, answer)


def _stay_here() -> None:
    """Let Ray keep the loopback address for this machine, as it does on macOS and Windows.

    Elsewhere it puts the machine's outer address in its place, and then its servers listen on all interfaces.
    """
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"  # for the processes that Ray starts
    ray_constants.ENABLE_RAY_CLUSTER = False


def _connect(address: str, size: int | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would send statistics to its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray would warn that this becomes the default
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}  # Any: Ray's own options
    if address == LOCAL:
        _stay_here()
        cores = max(size or 1, os.cpu_count() or 1)
        here: dict[str, Any] = {
            "num_cpus": cores,
            "include_dashboard": False,
            "_node_ip_address": LOOPBACK,
        }  # Any: as above
        ray.init(address, object_store_memory=STORE_BYTES, **here, **quiet)
        return
    try:
        _knock(address)
        ray.init(address, **quiet)
    except (OSError, ValueError) as error:
        raise InputError(f"ray {address!r}: no cluster answers there ({error}); see `ray status`") from error


def _knock(address: str) -> None:
    """Raise OSError or ValueError if nothing listens at host:port; Ray itself would try for a minute or two."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host, int(port)), timeout=10).close()
