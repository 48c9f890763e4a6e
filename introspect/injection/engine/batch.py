"""Rows side by side, token by token: a trial that is finished leaves, and one that waits takes its row.

All trials share one prompt. Each goes on behind its first site from the states of the prompt with nothing injected, so
that only what an injection can change is run. Rows may be of unequal length; there is no padding.
Goes in: a prefix and trials. Comes out: a Response or a Failure for each.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from introspect.injection.answers.answer_tokens import AnswerTokens, read
from introspect.injection.answers.sampling import draw, random_words
from introspect.injection.answers.whole_words import Behind, in_whole_words, shares_first
from introspect.injection.engine.failures import Failure, finite_rows
from introspect.injection.engine.under_way import UnderWay
from introspect.injection.prefix.clean_pass import logprob_of
from introspect.injection.prefix.prefix import Prefix
from introspect.injection.step.injector import Injector
from introspect.injection.step.resume import Start
from introspect.injection.step.steps import Steps
from introspect.models.tap import Tap
from introspect.records.response import WHOLE_WORDS, Response
from introspect.records.trial import Site, Trial

IsOver = Callable[[Trial, str], bool]
"""Tells from the answer so far whether the trial needs no more of it."""
EXIT = "exit"
"""Name of what is measured of the exit gate behind the prompt: the probability to leave after a loop."""
_ROUTED = "routed"
"""Name of what is measured where tokens are routed: the share of the span's tokens that a loop has run."""
REFILL = 4
"""Rows are filled again when one in so many is free: a short prompt pass costs nearly what a full one does."""


class Pool:
    """Trials of one prompt and one number of loops, at most `rows` at a time; `run` may be called once."""

    def __init__(
        self,
        tap: Tap,
        prefix: Prefix,
        trials: Sequence[Trial],
        injector: Injector,
        answers: AnswerTokens,
        deciders: Mapping[str, IsOver],
        rows: int | None,
        steps: Steps,
    ) -> None:
        self.tap, self.prefix, self.trials, self.injector, self.answers = tap, prefix, trials, injector, answers
        self.deciders = deciders
        self.capacity = min(rows or len(trials), len(trials))
        self.rows: list[int] = []
        """The trial in each row."""
        self.under_way = [UnderWay(trial) for trial in trials]
        self.aside = 0
        """Token-block forwards that were run for options in whole words, and for no answer."""
        settings = [trial.sampling for trial in trials]
        longest = max(sampling.max_new_tokens for sampling in settings)
        self.weights = prefix.weights([trial.injection for trial in trials])
        room = {"rows": self.capacity, "new_tokens": longest}
        self.cache, self.step = steps.begin(prefix, injector, self.weights, **room)
        self.words = random_words([trial.seed for trial in trials], longest)
        self.temperature = torch.tensor([sampling.temperature for sampling in settings], dtype=torch.float64)
        self.top_p = torch.tensor([sampling.top_p for sampling in settings], dtype=torch.float64)
        self.by_cdf = torch.tensor([sampling.draws == "inverse-cdf" for sampling in settings])

    def run(self) -> list[Response | Failure]:
        """Walk the whole way."""
        waiting = deque(range(len(self.trials)))
        with closing(self.step):
            while waiting or self.rows:
                free = self.capacity - len(self.rows)
                if waiting and free * REFILL >= self.capacity:
                    self._admit([waiting.popleft() for _ in range(min(free, len(waiting)))])
                elif self.rows:
                    self._write(0, self._next())
        return self._results()

    def _admit(self, trials: list[int]) -> None:
        """Let trials into the free rows, those of one first site together, and draw their first tokens."""
        groups: dict[Site | None, list[int]] = {}
        for trial in trials:
            groups.setdefault(self.injector.first[trial], []).append(trial)
        first, logits = len(self.rows), []
        for site, members in groups.items():
            self.cache.aim(len(self.rows), [0] * len(members), self.prefix.length)
            start = Start(self.tap, self.prefix, self.cache, self.injector, members, site, self._weights(members))
            logits.append(start.run())
            said = start.readouts(logits[-1])
            self._read(members, said)
            self._read_whole_words(members, said, start.first)
            self._leave_at(members, start.leaving())
            self._measure(_ROUTED, members, self.prefix.run_share(start.routed))
            self.rows += members
        self.step.admit(first, self.rows[first:])
        self._write(first, torch.cat(logits))

    def _read(self, trials: list[int], said: Sequence[Tensor]) -> None:
        """Take down what the model says after every loop behind the prompt, `(trial, vocabulary)` each."""
        of = [self.trials[trial] for trial in trials]
        for loop, logits in enumerate(said):
            for trial, readout in zip(trials, read(logits, self.answers, loop, of), strict=True):
                self.under_way[trial].readouts.append(readout)

    def _read_whole_words(self, trials: list[int], said: Sequence[Tensor], first: int) -> None:
        """Read anew the options that begin alike; loops before the `first` say what they say with nothing injected."""
        colliding = [row for row, trial in enumerate(trials) if self.answers.collide(self.trials[trial].options)]
        if not colliding:
            return
        before, members = self.tap.work, [trials[row] for row in colliding]
        rows, weights = [len(self.rows) + row for row in colliding], self._weights(members)
        behind = Behind(self.tap, self.prefix, self.cache, rows, first, self.injector, members, weights)
        spelled = [[self.answers.spellings(word) for word in self.trials[trial].options] for trial in members]
        read_off = in_whole_words(behind, [logits[colliding] for logits in said], spelled, self.capacity)
        for trial, options in zip(members, read_off, strict=True):
            lost, one = shares_first(self.answers, self.trials[trial]), self.under_way[trial]
            one.readouts = [
                replace(readout, options=of_loop, concept_rank=None if lost else readout.concept_rank)
                for readout, of_loop in zip(one.readouts, options, strict=True)
            ]
            one.measure(WHOLE_WORDS, 0, 1.0)
        self.aside += self.tap.work - before

    def _leave_at(self, trials: list[int], rates: Sequence[Tensor]) -> None:
        """Take down the probability with which the exit gate leaves after each loop; the last takes the rest."""
        staying = torch.ones(len(trials), dtype=torch.float64)
        leaving = []
        for loop, rate in enumerate(rates):
            leaving.append(staying if loop == len(rates) - 1 else staying * rate.double().cpu())
            staying = staying - leaving[-1]
        self._measure(EXIT, trials, leaving)

    def _measure(self, name: str, trials: list[int], of_loops: Sequence[Tensor]) -> None:
        """Take down one number a loop, `(trial,)` each."""
        for loop, values in enumerate(of_loops):
            for trial, value in zip(trials, values.tolist(), strict=True):
                self.under_way[trial].measure(name, loop, value)

    def _write(self, first: int, logits: Tensor) -> None:
        """Draw a token for each row from `first` on, and let those leave that are finished."""
        trials = self.rows[first:]
        finished = []
        for row, drawn in enumerate(self._drawn(logits, trials), first):
            one = self.under_way[self.rows[row]]
            one.take(*drawn)
            if one.broken or self._ends(one):
                finished.append(row)
        if finished:
            self._leave(finished)

    def _drawn(self, logits: Tensor, trials: list[int]) -> list[list[float]]:
        """Return for each row its token, whether its logits are finite, and log p of it where that is asked for.

        All are brought to the host at once, the only time within a step that it waits for the device.
        """
        steps = [len(self.under_way[trial].tokens) for trial in trials]
        settings = self.temperature[trials], self.top_p[trials], self.by_cdf[trials]
        drawn = draw(logits, self.words[trials, steps], *settings)
        told = [drawn.double(), finite_rows(logits).to(drawn.device).double()]
        if any(self.trials[trial].injection is None for trial in trials):
            # where nothing can be drawn there is no token
            possible = drawn.to(logits.device).clamp(max=logits.shape[-1] - 1)
            told.append(logprob_of(logits, possible).to(drawn.device).double())
        else:
            told.append(torch.zeros_like(told[0]))
        rows: list[list[float]] = torch.stack(told, dim=-1).tolist()
        return rows

    def _ends(self, one: UnderWay) -> bool:
        """Tell whether what a trial has drawn is all: as long as allowed, at the end of its turn, or enough."""
        looped, tokens = self.tap.looped, one.tokens
        full = len(tokens) == one.trial.sampling.max_new_tokens
        if full or tokens[-1] in looped.end_of_turn or looped.turns.over(tokens):
            return True
        name = one.trial.sampling.decided_by  # the grader that says whether the answer so far is enough
        one.decided = name is not None and self.deciders[name](one.trial, looped.turns.read(tokens).text)
        return one.decided

    def _weights(self, trials: list[int]) -> Tensor | None:
        return None if self.weights is None else self.weights[trials]

    def _leave(self, finished: list[int]) -> None:
        """Close the gaps that finished rows leave with the rows at the end."""
        stay = len(self.rows) - len(finished)
        gone = set(finished)
        sources = [row for row in range(stay, len(self.rows)) if row not in gone]
        targets = list(islice((row for row in finished if row < stay), len(sources)))
        self.cache.move(sources, targets)
        self.step.leave(self.rows, sources, targets)
        for source, target in zip(sources, targets, strict=True):
            self.rows[target] = self.rows[source]
        del self.rows[stay:]

    def _next(self) -> Tensor:
        """Run the token drawn last in each row and give the logits, `(rows, vocabulary)`."""
        tokens = [self.under_way[trial].tokens for trial in self.rows]
        return self.step.run(self.rows, [drawn[-1] for drawn in tokens], [len(drawn) - 1 for drawn in tokens])

    def _results(self) -> list[Response | Failure]:
        looped, prompt = self.tap.looped, self.prefix.encoded.text
        return [
            one.result(looped, prompt, faint=faint, added=added, residual=residual)
            for one, faint, (added, residual) in zip(
                self.under_way, self.injector.faint(), self.injector.norms(), strict=True
            )
        ]
