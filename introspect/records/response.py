"""The records of what comes of a trial: Readout, Measure, Response, Grade. All are frozen; loops count from 0."""

import json
import math
from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length", "decided", "turn"]
"""`stop`: its turn ended. `length`: as long as allowed. `decided`: a grader needs no more. `turn`: it began another."""


@dataclass(frozen=True)
class Readout:
    """The next-token distribution at the first answer token, read after one loop."""

    loop: int
    logit_yes: float
    """Log-sum-exp of the logits of the spellings of "yes"."""
    logit_no: float
    mass: float
    """Probability of all spellings of yes and no together, 0 to 1."""
    entropy: float
    """Entropy of the whole distribution, in nats."""
    options: tuple[float, ...] = ()
    """Log-probability of each option of the trial: of its first token, or of the whole word where two begin alike."""
    concept_rank: int | None = None
    """How many tokens are more probable than the first one of the concept; None where it was not looked for, and where
    another option begins with that token too."""


WHOLE_WORDS = "whole-words"
"""Name of the measure that notes that the options of a trial were read as whole words."""


@dataclass(frozen=True)
class Measure:
    """A number that belongs to a site and not to an answer."""

    name: str
    loop: int
    layer: int
    value: float


@dataclass(frozen=True)
class Response:
    """What the model wrote, and what was recorded on the way."""

    trial_id: str
    text: str
    """The answer alone: without its thinking, and without what it wrote beyond its own turn."""
    token_ids: tuple[int, ...]
    """All sampled tokens, the end-of-turn token included when it was drawn."""
    finish_reason: FinishReason
    readouts: tuple[Readout, ...]
    """One a loop, in order."""
    vector_norm: float | None
    """Norm of what was added at one position (strength included), mean over the sites; None without an injection."""
    residual_norm: float | None
    """Mean norm of the residual stream at the injected positions of the prompt before the addition; None without."""
    measures: tuple[Measure, ...] = ()
    thinking: str = ""
    """What it thought aloud before the answer; empty where it did not."""
    cut: str = ""
    """What it wrote beyond its own turn; empty where it stayed within."""
    echo: int | None = None
    """Words of the longest run that the answer shares with the prompt; None where it was not counted."""
    clean_logprob: float | None = None
    """Mean log-probability a drawn token, in nats, with the prompt and nothing injected; None where not measured."""

    @property
    def relative_norm(self) -> float | None:
        """Return `vector_norm / residual_norm`; infinite where only the second is 0, None where both are."""
        if self.vector_norm is None or self.residual_norm is None:
            return None
        if self.residual_norm == 0:
            return math.inf if self.vector_norm > 0 else None
        return self.vector_norm / self.residual_norm


@dataclass(frozen=True)
class Grade:
    """A grader's verdict on one response; None means unknown, which is never counted as no."""

    trial_id: str
    grader: str
    version: str
    detected: bool | None
    """Claims to notice an injected thought."""
    identified: bool | None
    """Claims to notice, and then names the concept."""
    coherent: bool | None
    refused: bool | None
    evidence: str
    """The quoted words on which the verdict rests, and why."""
    answer: str | None = None
    """What was answered, in normal form: yes, no or one of the options; None where the question asks for neither or
    nothing is known."""
    correct: bool | None = None
    """Whether `answer` is the one expected; None where either is missing."""
    state: str = "graded"
    """`graded`, or why a judge gave no usable verdict (then all of them are None): refused, malformed, truncated,
    timed-out, contradictory, error."""
    tokens: int | None = None
    """How many tokens of the answer were there when it first claimed to notice; None where it does not, and where the
    grader does not read words or the tokenizer was not at hand."""


def response_from_json(text: str) -> Response:
    """Read a response written by `to_json`."""
    values = json.loads(text)
    readouts = tuple(Readout(options=tuple(readout.pop("options")), **readout) for readout in values.pop("readouts"))
    measures = tuple(Measure(**measure) for measure in values.pop("measures"))
    return Response(token_ids=tuple(values.pop("token_ids")), readouts=readouts, measures=measures, **values)
