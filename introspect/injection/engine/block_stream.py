"""A stream of trials through the engine in blocks, with fewer rows side by side when memory runs out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch

from introspect.errors import InputError
from introspect.injection.engine.engine import Engine
from introspect.injection.engine.failures import Failure
from introspect.records.response import Response
from introspect.records.trial import Trial

Result = tuple[Trial, Response | Failure]

BLOCK = 4
"""Batches in a block: trials of one block take one another's rows."""


def run_all(engine: Engine, trials: Iterable[Trial], batch_size: int) -> Iterator[list[Result]]:
    """Run all trials, at most `batch_size` side by side, and give the results block by block, in order.

    When a block does not fit in memory, it and all later ones are run with half as many rows; raises InputError when
    not even one row fits.
    """
    if batch_size < 1:
        raise InputError(f"batch size {batch_size}: must be at least 1")
    rows, stream = batch_size, iter(trials)
    while block := list(islice(stream, BLOCK * batch_size)):
        while (results := _run(engine, block, rows)) is None:
            rows = _halved(min(rows, len(block)))
        yield list(zip(block, results, strict=True))


def _run(engine: Engine, block: Sequence[Trial], rows: int) -> list[Response | Failure] | None:
    """Run a block; None when memory ran out, which can be tried again once the traceback has let go of its tensors."""
    try:
        return engine.run(block, rows)
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _is_out_of_memory(error: RuntimeError) -> bool:
    said = ("not enough memory", "can't allocate memory", "out of memory")
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in said)


def _halved(rows: int) -> int:
    if rows == 1:
        raise InputError("not enough memory for one row; use a shorter prompt, fewer new tokens or a smaller model")
    return rows // 2
