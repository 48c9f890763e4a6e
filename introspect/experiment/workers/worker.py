"""A worker: loads the model once, takes the vectors from the folder of the run, and runs the blocks it is given.

Goes in: a Job, then blocks. Come out: events. Which process it lives in is the business of `processes` and `ray`.
"""

import os
import socket
import traceback
from collections.abc import Callable
from typing import NoReturn

import torch

from introspect.concepts.extraction import cached
from introspect.errors import InputError
from introspect.experiment.laboratory import open_laboratory
from introspect.experiment.workers.events import Died, Done, Event, Job, Ready, Refused
from introspect.experiment.workers.trial_blocks import Block, run_block
from introspect.injection.engine.engine import Engine


class Worker:
    """One model, and the trials of one block at a time."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._engine: Engine | None = None

    def open(self) -> Event:
        """Load the model; Ready when it can be given blocks."""
        return _told(self._open)

    def run(self, block: Block) -> Event:
        """Run a block. An error other than bad input ends the worker: a GPU may be unusable after one."""
        return _told(lambda: self._run(block))

    def _open(self) -> Ready:
        if self._job.threads is not None:
            torch.set_num_threads(self._job.threads)
        if not self._job.directory.is_dir():
            raise InputError(_unseen(self._job, f"directory {self._job.directory}"))
        os.chdir(self._job.directory)
        laboratory = open_laboratory(self._job.options)
        folder, states = self._job.options.folder, laboratory.states_manifest
        vectors = cached(folder, laboratory.vectors_manifest, self._no_vectors, states)
        self._engine = laboratory.engine(vectors)
        return Ready()

    def _run(self, block: Block) -> Done:
        assert self._engine is not None, f"block {block.name} was given to a worker that is not open"
        outcome = run_block(self._engine, block, self._job.rows, self._job.options.chosen_graders())
        return Done(block.name, outcome.results, outcome.grades, outcome.work, outcome.seconds)

    def _no_vectors(self) -> NoReturn:
        raise InputError(_unseen(self._job, f"the vectors of this model in {self._job.options.folder}"))


def _unseen(job: Job, what: str) -> str:
    return (
        f"worker on {socket.gethostname()}: does not see {what}; run, model and environment must be on storage "
        f"that every worker shares (its model has dtype {job.options.dtype!r})"
    )


def _told(act: Callable[[], Event]) -> Event:
    """Act, and tell what went wrong instead of raising it: an exception does not travel well between processes."""
    try:
        return act()
    except InputError as error:
        return Refused(error)
    except Exception as error:
        (*_, last) = traceback.extract_tb(error.__traceback__)
        return Died(f"{type(error).__name__}: {error} ({last.filename}, line {last.lineno})")
