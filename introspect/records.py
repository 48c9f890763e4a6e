"""The records that travel through the house: Site, Injection, Sampling, Trial, Readout, Response, Grade.

All are frozen. `strength` multiplies the concept vector as extracted (unit "vector"), or the mean residual norm at
the site times the vector's direction (unit "residual"). Loops and layers count from 0.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

Arm = Literal["injected", "none", "random"]
"""`injected`: the concept's vector. `none`: nothing added. `random`: a random direction of the same norm."""
ARMS: tuple[Arm, ...] = ("injected", "none", "random")

StrengthUnit = Literal["vector", "residual"]
STRENGTH_UNITS: tuple[StrengthUnit, ...] = ("vector", "residual")

FinishReason = Literal["stop", "length"]


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


@dataclass(frozen=True)
class Sampling:
    """How the answer is drawn."""

    temperature: float = 1.0
    """0 takes the most probable token."""
    top_p: float = 1.0
    max_new_tokens: int = 40


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


def to_json(record: object) -> str:
    """Write a record as canonical JSON: sorted keys, no spaces, no NaN."""
    return json.dumps(asdict(record), sort_keys=True, separators=(",", ":"), allow_nan=False)  # type: ignore[call-overload]


def trial_from_json(text: str) -> Trial:
    """Read a trial written by `to_json`."""
    fields = json.loads(text)
    injection = fields.pop("injection")
    if injection is not None:
        sites = tuple(Site(**site) for site in injection.pop("sites"))
        injection = Injection(sites=sites, **injection)
    return Trial(injection=injection, sampling=Sampling(**fields.pop("sampling")), **fields)


def response_from_json(text: str) -> Response:
    """Read a response written by `to_json`."""
    fields = json.loads(text)
    readouts = tuple(Readout(**readout) for readout in fields.pop("readouts"))
    return Response(token_ids=tuple(fields.pop("token_ids")), readouts=readouts, **fields)
