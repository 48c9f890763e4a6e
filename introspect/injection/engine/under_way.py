"""One trial that is being answered: what has been drawn and read of it so far, and what it becomes in the end.

Goes in: tokens, read-outs and measures, as they come. Comes out: a Response or a Failure.
"""

from dataclasses import dataclass, field

from introspect.injection.engine.failures import Failure, finite_readouts, not_finite, too_faint
from introspect.injection.prefix.clean_pass import mean_of
from introspect.models.looped_model import LoopedModel
from introspect.prompts.echo import shared_run
from introspect.records.response import FinishReason, Measure, Readout, Response
from introspect.records.trial import Trial


@dataclass
class UnderWay:
    """What is known so far of one trial."""

    trial: Trial
    tokens: list[int] = field(default_factory=list)
    """What has been drawn."""
    readouts: list[Readout] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    logprob: float = 0.0
    """Sum of the log-probabilities of the drawn tokens, in nats; counted where nothing is injected."""
    broken: bool = False
    """Whether its logits were not finite."""
    decided: bool = False
    """Whether it was ended early, as a grader needs no more."""

    def take(self, token: float, finite: float, logprob: float) -> None:
        """Take down a token, unless there was none to draw."""
        self.logprob += logprob
        if finite:
            self.tokens.append(int(token))
        else:
            self.broken = True

    def measure(self, name: str, loop: int, value: float) -> None:
        """Take down a number that belongs to a loop."""
        self.measures.append(Measure(name, loop, 0, value))

    def result(
        self, looped: LoopedModel, prompt: str, *, faint: bool, added: float | None, residual: float | None
    ) -> Response | Failure:
        """Return what the trial has come to; `added` and `residual` are norms, `faint` says that nothing changed."""
        if self.broken or not finite_readouts(self.readouts):
            return not_finite(self.trial)
        if faint:
            return too_faint(self.trial)
        ended = self.tokens[-1] in looped.end_of_turn
        turn = looped.turns.read(self.tokens[:-1] if ended else self.tokens)
        reason: FinishReason = "stop" if ended else "decided" if self.decided else "length"
        return Response(
            trial_id=self.trial.id,
            text=turn.text,
            token_ids=tuple(self.tokens),
            finish_reason="turn" if turn.cut else reason,
            readouts=tuple(self.readouts),
            vector_norm=added,
            residual_norm=residual,
            measures=tuple(self.measures),
            thinking=turn.thinking,
            cut=turn.cut,
            echo=shared_run(turn.text, prompt),
            clean_logprob=None if self.trial.injection else mean_of(self.logprob, self.tokens),
        )
