"""The records that travel through the house: Site, Injection, Sampling, Trial, Readout, Response, Grade.

All are frozen. `strength` multiplies the concept vector as extracted (unit "vector"), or the mean residual norm at
the site times the vector's direction (unit "residual"). Loops and layers count from 0.
"""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Literal

Arm = Literal["injected", "none", "random"]
"""`injected`: the concept's vector. `none`: nothing added. `random`: a random direction of the same norm."""
ARMS: tuple[Arm, ...] = ("injected", "none", "random")

StrengthUnit = Literal["vector", "residual"]
STRENGTH_UNITS: tuple[StrengthUnit, ...] = ("vector", "residual")

FinishReason = Literal["stop", "length", "decided"]
"""`stop`: the end-of-turn token was drawn. `length`: as long as allowed. `decided`: a grader needed no more."""


@dataclass(frozen=True, order=True)
class Site:
    """One block of the recurrent stack in one pass through it; sites sort into the order in which they run."""

    loop: int
    layer: int

    def __str__(self) -> str:
        """Write the site as `loop:layer`."""
        return f"{self.loop}:{self.layer}"


@dataclass(frozen=True)
class Injection:
    """What is added to the residual stream, and where."""

    sites: tuple[Site, ...]
    """Where the vector is added, in running order; never empty."""
    strength: float
    """Multiplier of the vector, in `unit`."""
    vectors_hash: str
    """Content hash of the ConceptVectors from which the vector is taken."""
    extract_loop: int | None = None
    """Loop at which the vector was extracted; None means the loop of each site. The layer is that of the site."""
    unit: StrengthUnit = "vector"

    @cached_property
    def json(self) -> str:
        """Give the canonical JSON, written once for all trials of a cell."""
        return to_json(self)


@dataclass(frozen=True)
class Sampling:
    """How the answer is drawn."""

    temperature: float = 1.0
    """0 takes the most probable token."""
    top_p: float = 1.0
    max_new_tokens: int = 40
    decided_by: str | None = None
    """Grader and version by whose declared decision an answer ends early; None: answers are let go on to their end."""

    @cached_property
    def json(self) -> str:
        """Give the canonical JSON, written once for all trials of a grid."""
        return to_json(self)


@dataclass(frozen=True)
class Trial:
    """One prompt, seed and injection; all that determines the response, so that its hash is its name."""

    model: str
    """Name under which the model was loaded: a hub id, a folder, or organism:NAME."""
    weights_hash: str
    """Content hash of the weights and the tokenizer."""
    dtype: str
    """Number format of the weights at run time, such as float32."""
    protocol: str
    template: str
    template_hash: str
    concept: str
    """The concept the trial is about; a control carries the concept of the trial it is paired with."""
    arm: Arm
    injection: Injection | None
    """None exactly in the arm `none`."""
    n_loops: int
    """Loops run in every forward."""
    repeat: int
    """Counts the trials that differ in nothing but their draws."""
    seed: int
    """Key of the draws; the same for an injected trial and its controls, so that they are paired."""
    sampling: Sampling = Sampling()

    @cached_property
    def id(self) -> str:
        """Give the first 16 hex digits of the SHA-256 of everything above."""
        return hashlib.sha256(to_json(self).encode()).hexdigest()[:16]


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


@dataclass(frozen=True)
class Response:
    """What the model wrote, and what was recorded on the way."""

    trial_id: str
    text: str
    token_ids: tuple[int, ...]
    """The sampled tokens, the end-of-turn token included when it was drawn."""
    finish_reason: FinishReason
    readouts: tuple[Readout, ...]
    """One a loop, in order."""
    vector_norm: float | None
    """Norm of what was added at one position (strength included), mean over the sites; None without an injection."""
    residual_norm: float | None
    """Mean norm of the residual stream at the injected positions of the prompt before the addition; None without."""

    @property
    def relative_norm(self) -> float | None:
        """Give `vector_norm / residual_norm`."""
        if self.vector_norm is None or self.residual_norm is None:
            return None
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


def to_json(record: object) -> str:
    """Write a record as canonical JSON: sorted keys, no spaces, no NaN."""
    return _trial_json(record) if isinstance(record, Trial) else _ENCODER.encode(record)


def cell_to_json(trial: Trial) -> str:
    """Write what a trial shares with all of its cell, as canonical JSON: everything but concept, repeat and seed."""
    return (
        f'{{"arm":{quoted(trial.arm)},"dtype":{quoted(trial.dtype)},'
        f'"injection":{"null" if trial.injection is None else trial.injection.json},'
        f'"model":{quoted(trial.model)},"n_loops":{trial.n_loops},"protocol":{quoted(trial.protocol)},'
        f'"sampling":{trial.sampling.json},"template":{quoted(trial.template)},'
        f'"template_hash":{quoted(trial.template_hash)},"weights_hash":{quoted(trial.weights_hash)}}}'
    )


def cell_from_json(text: str) -> dict[str, Any]:  # Any: the values of ten fields
    """Read what `cell_to_json` wrote, as fields of a Trial."""
    return _with_records(json.loads(text))


def trial_from_json(text: str) -> Trial:
    """Read a trial written by `to_json`."""
    return Trial(**_with_records(json.loads(text)))


def response_from_json(text: str) -> Response:
    """Read a response written by `to_json`."""
    values = json.loads(text)
    readouts = tuple(Readout(**readout) for readout in values.pop("readouts"))
    return Response(token_ids=tuple(values.pop("token_ids")), readouts=readouts, **values)


def _trial_json(trial: Trial) -> str:
    """Write the same as the encoder, ten times faster: a million trials are hashed when a sweep goes on."""
    return (
        f'{{"arm":{quoted(trial.arm)},"concept":{quoted(trial.concept)},"dtype":{quoted(trial.dtype)},'
        f'"injection":{"null" if trial.injection is None else trial.injection.json},'
        f'"model":{quoted(trial.model)},"n_loops":{trial.n_loops},"protocol":{quoted(trial.protocol)},'
        f'"repeat":{trial.repeat},"sampling":{trial.sampling.json},"seed":{trial.seed},'
        f'"template":{quoted(trial.template)},"template_hash":{quoted(trial.template_hash)},'
        f'"weights_hash":{quoted(trial.weights_hash)}}}'
    )


def _with_records(values: dict[str, Any]) -> dict[str, Any]:
    injection = values.pop("injection")
    if injection is not None:
        sites = tuple(Site(**site) for site in injection.pop("sites"))
        injection = Injection(sites=sites, **injection)
    return {**values, "injection": injection, "sampling": Sampling(**values.pop("sampling"))}


def _values(record: Any) -> dict[str, Any]:  # Any: whatever record is met inside another
    return {field.name: getattr(record, field.name) for field in fields(record)}


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False, default=_values
)
