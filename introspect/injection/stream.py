"""A stream of trials through the engine in batches, smaller ones when memory runs out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch

from introspect.errors import InputError
from introspect.injection.engine import Engine
from introspect.injection.guards import Failure
from introspect.records import Response, Trial

Result = tuple[Trial, Response | Failure]


def run_all(engine: Engine, trials: Iterable[Trial], batch_size: int) -> Iterator[list[Result]]:
    """Run all trials and give the results batch by batch, in order.

    When a batch does not fit in memory, it and all later ones are run in halves; raises InputError when not even
    one row fits.
    """
    if batch_size < 1:
        raise InputError(f"batch size {batch_size}: must be at least 1")
    stream = iter(trials)
    waiting: list[Trial] = []
    while waiting := waiting or list(islice(stream, batch_size)):
        batch = waiting[:batch_size]
        results = _run(engine, batch)
        if results is None:
            batch_size = _halved(len(batch))
            continue
        waiting = waiting[len(batch) :]
        yield list(zip(batch, results, strict=True))


def _run(engine: Engine, batch: Sequence[Trial]) -> list[Response | Failure] | None:
    """Run a batch; None when memory ran out, which can be tried again once the traceback has let go of its tensors."""
    try:
        return engine.run(batch)
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
