"""A sample of a plan, run and thrown away: a few trials of each question, drawn over all cells of one prompt.

Goes in: a laboratory and a plan. Come out: pieces, and the seconds that prompts took, which are timed apart.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import replace

from introspect.concepts.vectors import ConceptVectors
from introspect.experiment.estimate.costs import CostPiece, Crowd
from introspect.experiment.laboratory import Laboratory
from introspect.grading.detection_time import graded
from introspect.injection.engine.engine import KEPT_PREFIXES, Key, key_of
from introspect.injection.engine.failures import Failure
from introspect.injection.plan.plan import Plan
from introspect.records.response import Response
from introspect.records.trial import Trial

_WARM = 8
"""Tokens of the answers with which it is warmed up."""


class Sample:
    """Runs pieces of a plan; at most `rows` side by side, where the sweep would have blocks of `block` trials."""

    def __init__(self, laboratory: Laboratory, vectors: ConceptVectors, trials: Plan, rows: int, block: int) -> None:
        self.trials, self.rows, self.block = trials, rows, block
        self.prompt_seconds: list[float] = []
        """What each prompt took that was run."""
        self._laboratory, self._vectors = laboratory, vectors
        self._graders = laboratory.options.chosen_graders()
        self._engine = laboratory.engine(vectors)
        self._source = random.Random(0)
        self._graded = set[str]()
        """Questions of which answers were graded."""

    def warm_up(self, section: int) -> CostPiece:
        """Run two trials, their answers cut short, twice: the second time is not the first time of anything."""
        short = [
            replace(trial, sampling=replace(trial.sampling, max_new_tokens=min(_WARM, trial.sampling.max_new_tokens)))
            for trial in self.drawn(section, 1 / 2, 2)
        ]
        self.run(short)
        self.prompt_seconds.clear()
        self._graded.clear()  # short answers may leave a part of the grader untouched
        self._engine = self._laboratory.engine(self._vectors)  # which has run no prompt
        return self.run(short)

    def drawn(self, section: int, place: float, n: int) -> list[Trial]:
        """Draw trials of a question: one out of each n-th of those with the prompt that is at this share of it.

        Evenly spaced ones might all be of one arm or strength, since these follow one another in the plan.
        """
        part, start = self.trials.sections[section], self.trials.starts[section]
        first = int(place * (part.total - 1))
        around = part.around(first)
        if len(around) > n:
            edges = [around[i * len(around) // n] for i in range(n)] + [around.stop]
            places = [self._source.randrange(*edges[i : i + 2]) for i in range(n)]
        else:
            places = list(range(min(first, max(0, part.total - n)), min(first + n, part.total)))
        drawn = [self.trials[start + each] for each in places]
        keys = list(dict.fromkeys(map(key_of, drawn)))[:KEPT_PREFIXES]
        return [trial for trial in drawn if key_of(trial) in keys]

    def crowd(self, section: int) -> Crowd:
        """Say how the trials of a question stand together in the sweep."""
        part = self.trials.sections[section]
        around = part.around(part.total // 2)
        of_one = max(1, len(around) // len(part.grid.loops_run()))
        alike = max(1, len(around) // len(part.cells)) * part.cells.at_one_site
        return Crowd(min(self.block, of_one), self.rows, alike)

    def run(self, trials: Sequence[Trial]) -> CostPiece:
        """Run trials and grade them, the prompts first, which are timed apart."""
        for key in dict.fromkeys(map(key_of, trials)):
            self._run_prompt(key)
        tap, begin = self._engine.tap, time.perf_counter()
        calls, tokens = tap.calls, tap.work
        results = self._engine.run(trials, self.rows)
        seconds = time.perf_counter() - begin
        sites = [len(tap.looped.sites(trial.n_loops)) for trial in trials]
        begun = [(key_of(trial), min(trial.injection.sites)) for trial in trials if trial.injection is not None]
        return CostPiece(
            lengths=tuple(_length(result) for result in results),
            injected=len(begun),
            starts=len(set(begun)),
            calls=tap.calls - calls,
            walked=sum(self._walked(trials, results)),
            tokens=tap.work - tokens,
            sites=sum(sites) / len(sites),
            seconds=seconds,
            grading=self._grade(trials, results),
        )

    def _run_prompt(self, key: Key) -> None:
        tap, begin = self._engine.tap, time.perf_counter()
        before = tap.work
        self._engine.prefix(key)
        if tap.work > before:
            self.prompt_seconds.append(time.perf_counter() - begin)

    def _walked(self, trials: Sequence[Trial], results: Sequence[Response | Failure]) -> list[int]:
        """Count the calls over answers, pool by pool: as many forwards as the longest answer needs."""
        longest: dict[Key, int] = {}
        for trial, result in zip(trials, results, strict=True):
            longest[key_of(trial)] = max(_length(result), longest.get(key_of(trial), 1))
        looped = self._engine.tap.looped
        return [(length - 1) * len(looped.sites(n_loops)) for (_, n_loops, _), length in longest.items()]

    def _grade(self, trials: Sequence[Trial], results: Sequence[Response | Failure]) -> float:
        """Say how many seconds grading takes; the first time, which loads word lists, is not timed."""
        turns = self._engine.tap.looped.turns
        answered = [(trial, each) for trial, each in zip(trials, results, strict=True) if isinstance(each, Response)]
        for _ in range(1 if trials[0].question in self._graded else 2):
            begin = time.perf_counter()
            for trial, response in answered:
                for grader in self._graders:
                    graded(grader, trial, response, turns)
        self._graded.add(trials[0].question)
        return time.perf_counter() - begin


def _length(result: Response | Failure) -> int:
    return len(result.token_ids) if isinstance(result, Response) else 1
