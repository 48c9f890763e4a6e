"""One batch on its way: the rest of the prompt for all rows at once, then token by token.

All rows share one prompt and drop out when they are finished, so that those that go on are always of equal length:
there is no padding anywhere. Goes in: a prefix and trials. Comes out: a Response or a Failure for each.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from introspect.injection.answers import AnswerTokens, read
from introspect.injection.guards import Failure, finite_readouts, finite_rows, not_finite, too_faint
from introspect.injection.injector import Injector
from introspect.injection.prefix import Prefix
from introspect.injection.sampling import draw, uniforms
from introspect.models.tap import Tap, Visit
from introspect.records import Readout, Response, Site, Trial


class Batch:
    """Trials of one prompt and one number of loops; `run` may be called once."""

    def __init__(
        self, tap: Tap, prefix: Prefix, trials: Sequence[Trial], injector: Injector, answers: AnswerTokens
    ) -> None:
        self.tap, self.prefix, self.trials, self.injector, self.answers = tap, prefix, trials, injector, answers
        self.cache = prefix.caches(len(trials))
        self.rows = list(range(len(trials)))
        """The trial of each row that is still in the batch."""
        self.tokens: list[list[int]] = [[] for _ in trials]
        self.readouts: list[list[Readout]] = [[] for _ in trials]
        self.broken: set[int] = set()
        """Trials whose logits were not finite."""
        settings = [trial.sampling for trial in trials]
        self.longest = max(sampling.max_new_tokens for sampling in settings)
        self.uniforms = uniforms([trial.seed for trial in trials], self.longest)
        self.temperature = torch.tensor([sampling.temperature for sampling in settings], dtype=torch.float64)
        self.top_p = torch.tensor([sampling.top_p for sampling in settings], dtype=torch.float64)

    def run(self) -> list[Response | Failure]:
        """Walk the whole way."""
        logits = self._prompt()
        for step in range(self.longest):
            going = self._write(logits, step)
            if not going:
                break
            self._keep(going)
            logits = self._next()
        return self._results()

    def _prompt(self) -> Tensor:
        """Run what is left of the prompt and read the last position out after every loop."""
        states: dict[int, Tensor] = {}
        visits = self.injector.visits(self.prefix.columns, measure=True)
        for loop in range(self.prefix.n_loops):
            site = Site(loop, self.tap.looped.n_layers - 1)
            visits[site] = _then_keep_last(visits.get(site), states, loop)
        logits = self._forward(torch.tensor([self.prefix.rest] * len(self.trials)), visits)
        for loop, state in sorted(states.items()):
            for kept, readout in zip(
                self.readouts, read(self.tap.looped.readout(state), self.answers, loop), strict=True
            ):
                kept.append(readout)
        return logits

    def _write(self, logits: Tensor, step: int) -> list[int]:
        """Draw a token for each row and give the rows that go on."""
        drawn = draw(logits, self.uniforms[self.rows, step], self.temperature[self.rows], self.top_p[self.rows])
        going = []
        for row, (token, finite) in enumerate(zip(drawn.tolist(), finite_rows(logits).tolist(), strict=True)):
            trial = self.rows[row]
            if not finite:
                self.broken.add(trial)
                continue
            self.tokens[trial].append(token)
            full = len(self.tokens[trial]) == self.trials[trial].sampling.max_new_tokens
            if not (full or token in self.tap.looped.end_of_turn):
                going.append(row)
        return going

    def _keep(self, going: list[int]) -> None:
        """Let all other rows leave the batch."""
        if len(going) == len(self.rows):
            return
        kept = torch.tensor(going, device=self.tap.looped.device)
        self.cache.batch_select_indices(kept)
        self.injector.keep(kept, len(self.rows))
        self.rows = [self.rows[row] for row in going]

    def _next(self) -> Tensor:
        """Run the tokens drawn last."""
        last = torch.tensor([[self.tokens[trial][-1]] for trial in self.rows])
        goes_on = self.prefix.encoded.span_stop is None
        return self._forward(last, self.injector.visits(slice(0, 1)) if goes_on else {})

    def _forward(self, ids: Tensor, visits: dict[Site, Visit]) -> Tensor:
        inputs = {"input_ids": ids.to(self.tap.looped.device), "past_key_values": self.cache, "use_cache": True}
        logits: Tensor = self.tap.run(visits, n_loops=self.prefix.n_loops, **inputs, logits_to_keep=1).logits[:, -1]
        return logits

    def _results(self) -> list[Response | Failure]:
        norms, faint = self.injector.norms(), self.injector.faint()
        results: list[Response | Failure] = []
        for index, trial in enumerate(self.trials):
            if index in self.broken or not finite_readouts(self.readouts[index]):
                results.append(not_finite(trial))
            elif faint[index]:
                results.append(too_faint(trial))
            else:
                results.append(self._response(trial, self.tokens[index], self.readouts[index], norms[index]))
        return results

    def _response(
        self, trial: Trial, tokens: list[int], readouts: list[Readout], norms: tuple[float | None, float | None]
    ) -> Response:
        ended = tokens[-1] in self.tap.looped.end_of_turn
        text = self.tap.looped.tokenizer.decode(tokens[:-1] if ended else tokens, skip_special_tokens=True)
        assert isinstance(text, str)
        return Response(trial.id, text, tuple(tokens), "stop" if ended else "length", tuple(readouts), *norms)


def _then_keep_last(first: Visit | None, states: dict[int, Tensor], loop: int) -> Visit:
    """Make a visit that keeps the last position after another visit has been paid."""

    def visit(h: Tensor) -> None:
        if first is not None:
            first(h)
        states[loop] = h[:, -1].clone()

    return visit
