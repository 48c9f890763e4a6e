"""The driver's loop: hands blocks out, again when a worker died with one, and gives what came back, once a block.

Goes in: a crew and a stream of blocks. Come out: outcomes, in the order in which they came.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator

from introspect.experiment.workers.crew import Crew
from introspect.experiment.workers.events import Died, Done, Event, Ready, Refused
from introspect.experiment.workers.trial_blocks import Block, Outcome
from introspect.injection.engine.failures import Failure

BLOCK_TRIES = 3
"""Workers that may die with the same block; and for each worker, how much may fail in a row before it is given up."""
_PATIENCE = 0.5
"""Seconds to wait for a worker before looking whether to stop."""


def hand_out(crew: Crew, blocks: Iterator[Block], stopping: Callable[[], bool]) -> Iterator[Outcome]:
    """Have a crew run the blocks; once `stopping`, only those under way.

    A block with which TRIES workers died ends with a failure for each of its trials. Raises the InputError that a
    worker met, and ChildProcessError when workers do not get ready, or block after block fails.
    """
    desk = _Desk(crew)
    while True:
        if stopping():
            desk.waiting.clear()
        else:
            desk.fetch(blocks)
        desk.assign()
        if not desk.under_way and not desk.waiting:
            return
        came = crew.next(_PATIENCE)
        outcome = None if came is None else desk.take(*came)
        if not stopping():
            desk.assign()  # before the outcome is stored, so that nobody waits for the disk
        if outcome is not None:
            yield outcome


class _Desk:
    """What is known of blocks and workers. A block is open from when it is fetched until its first outcome."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.waiting: deque[Block] = deque()
        self.under_way: dict[int, Block] = {}
        self._open: dict[str, Block] = {}
        self._loading: set[int] = set()
        self._idle: list[int] = []
        self._tries: Counter[str] = Counter()
        self._unready = self._failed = 0
        """Workers that died loading since one got ready, blocks that failed since one was done."""

    def fetch(self, blocks: Iterator[Block]) -> None:
        """Have a block waiting for every worker."""
        while len(self.waiting) < self.crew.size and (block := next(blocks, None)) is not None:
            self._open[block.name] = block
            self.waiting.append(block)

    def assign(self) -> None:
        """Return waiting blocks to idle workers, and start as many workers as find something to do."""
        while self.waiting and self._idle:
            worker, block = self._idle.pop(), self.waiting.popleft()
            self.under_way[worker] = block
            self.crew.submit(worker, block)
        workers = len(self._loading) + len(self.under_way) + len(self._idle)
        for _ in range(min(len(self.waiting) - len(self._loading), self.crew.size - workers)):
            self._loading.add(self.crew.start())

    def take(self, worker: int, event: Event) -> Outcome | None:
        """Note what a worker told; give the outcome if it closes a block."""
        match event:
            case Refused(error):
                raise error
            case Ready():
                self._loading.discard(worker)
                self._idle.append(worker)
                self._unready = 0
            case Done(name, results, grades, work, seconds):
                if worker in self.under_way and self.under_way[worker].name == name:
                    del self.under_way[worker]
                    self._idle.append(worker)
                self._failed = 0
                block = self._closed(name)
                return None if block is None else Outcome(block, results, grades, work, seconds)
            case Died(reason):
                return self._buried(worker, reason)
        return None

    def _closed(self, name: str) -> Block | None:
        """Close a block; None if it is closed already, and what came is late or double."""
        block = self._open.pop(name, None)
        if block is not None:
            self.waiting = deque(each for each in self.waiting if each.name != name)
            del self._tries[name]
        return block

    def _buried(self, worker: int, reason: str) -> Outcome | None:
        """Note a death; give the outcome if it was the last that a block is allowed."""
        if worker in self._loading:
            self._loading.discard(worker)
            self._unready += 1
            self._check(self._unready, "workers died while they loaded the model", reason)
        self._idle = [other for other in self._idle if other != worker]
        block = self.under_way.pop(worker, None)
        if block is None or block.name not in self._open:
            return None
        self._tries[block.name] += 1
        if self._tries[block.name] < BLOCK_TRIES:
            self.waiting.appendleft(block)
            return None
        self._failed += 1
        self._check(self._failed, f"blocks in a row failed {BLOCK_TRIES} times each", reason)
        self._closed(block.name)
        return _failure(block, reason)

    def _check(self, n: int, what: str, reason: str) -> None:
        if n >= BLOCK_TRIES * self.crew.size:
            raise ChildProcessError(f"{n} {what}, the last one: {reason}")


def _failure(block: Block, reason: str) -> Outcome:
    why = f"block {block.name} failed {BLOCK_TRIES} times, each time its worker died; the last one: {reason}"
    return Outcome(block, [(trial, Failure(trial, f"trial {trial.id}: {why}")) for trial in block.trials])
