"""The records that travel through the house: Site, Injection, Sampling, Trial, Readout, Response, Grade.

All are frozen. `strength` multiplies the concept vector as extracted (unit "vector"), or the mean residual norm at the
site times the vector's direction ("residual"); or the vector is multiplied with what moves the next-token distribution
after a reference text by `strength` nats of KL divergence from the clean one ("kl"). Loops and layers count from 0.
"""

import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from introspect.records.canonical_json import encode_json, late, trial_to_json, unwritten
from introspect.records.site import CODA as CODA
from introspect.records.site import PRELUDE as PRELUDE
from introspect.records.site import Site as Site

Arm = Literal["injected", "none", "random", "in-span", "swap", "wrong", "opposite", "negated", "shuffled", "text"]
"""`injected`: the concept's vector. `none`: nothing added. `random`: a random direction of the same norm. `in-span`:
one drawn with the covariance of the other concepts' vectors, of the same norm. `swap`: the state of one neutral prompt
minus that of another, of the same norm. `wrong`: the vector of another concept. `opposite`: that of the concept whose
vector points away most. `negated`: the concept's, reversed. `shuffled`: the concept's, with its coordinates permuted.
`text`: nothing added, the concept written into the prompt where the span begins."""
ARMS: tuple[Arm, ...] = get_args(Arm)
NOT_INJECTED: tuple[Arm, ...] = ("none", "text")
"""Arms without an injection, which no cell of a grid changes."""
OF_ANOTHER: tuple[Arm, ...] = ("wrong", "opposite")
"""Arms that inject the vector of another concept, the trial's partner."""

DRAWN: tuple[Arm, ...] = ("random", "in-span", "swap", "shuffled")
"""Arms whose vector hangs on the trial's seed."""

Gate = Literal["rules", "model"]
GATES: tuple[Gate, ...] = ("rules", "model")
"""Who says which answers are coherent enough to count: the rules alone, or the model without injection as well."""

StrengthUnit = Literal["vector", "residual", "kl"]
STRENGTH_UNITS: tuple[StrengthUnit, ...] = ("vector", "residual", "kl")

Draws = Literal["gumbel", "inverse-cdf"]
"""How a random word becomes a token: see `injection.answers.sampling`."""

FinishReason = Literal["stop", "length", "decided", "turn"]
"""`stop`: its turn ended. `length`: as long as allowed. `decided`: a grader needs no more. `turn`: it began another."""


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
    weights: tuple[float, ...] = ()
    """What the strength is multiplied with in each span of the prompt; empty: 1 in every one."""
    aligned: bool = field(default=False, metadata=late(False))
    """Whether the arm `random` has one direction for all loops of a layer, as a concept's vectors nearly have."""
    reference: str | None = field(default=None, metadata=late(None))
    """For the unit "kl", hash of the template on which the dose is measured; None: on the trial's own prompt, as it was
    in older runs."""
    states: str | None = field(default=None, metadata=late(None))
    """In the arm `swap`, content hash of the PromptStates of which two are drawn; None in every other arm."""

    @cached_property
    def json(self) -> str:
        """Return the canonical JSON, written once for all trials of a cell."""
        return encode_json(self)


LAST = "last"


@dataclass(frozen=True)
class Sampling:
    """How the answer is drawn."""

    temperature: float = 1.0
    """0 takes the most probable token."""
    top_p: float = 1.0
    max_new_tokens: int = 40
    decided_by: str | None = None
    """Grader and version by whose declared decision an answer ends early; None: answers are let go on to their end."""
    exit: str = field(default=LAST, metadata=late(LAST))
    """Of which loop the tokens are drawn: the `last`; that at which the exit `gate` leaves, with the model's threshold
    or one given as in `gate:0.9`; or a loop by its number."""
    draws: Draws = field(default="gumbel", metadata=late("inverse-cdf"))
    """How a random word becomes a token; the trials of designs before 4 invert the CDF."""

    @cached_property
    def json(self) -> str:
        """Return the canonical JSON, written once for all trials of a grid."""
        return encode_json(self)


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
    """None exactly in the arms `none` and `text`."""
    n_loops: int
    """Loops run in every forward."""
    repeat: int
    """Counts the trials that differ in nothing but their draws."""
    seed: int
    """Key of the draws; the same for an injected trial and its controls, so that they are paired."""
    sampling: Sampling = Sampling()
    question: str = "detect"
    """What is asked: `detect`, or another of the protocol's questions, such as `unrelated`."""
    variables: tuple[tuple[str, str], ...] = ()
    """What the template is filled in with, sorted by name."""
    options: tuple[str, ...] = ()
    """The answers that are offered; empty: yes and no."""
    expected: str | None = None
    """The right answer, where there is one whatever the model noticed; else None."""
    partner: str | None = None
    """In the arms `wrong` and `opposite`, the concept whose vector is injected."""
    date: str | None = field(default=None, metadata=late(None))
    """The day that the chat format wrote into the prompt; None where it writes none."""

    @cached_property
    def id(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of everything above."""
        return hashlib.sha256(trial_to_json(self).encode()).hexdigest()[:16]


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


def to_json(record: object) -> str:
    """Write a record as canonical JSON: sorted keys, no spaces, no NaN."""
    return trial_to_json(record) if isinstance(record, Trial) else encode_json(record)


def cell_from_json(text: str) -> dict[str, Any]:  # Any: the values of ten fields
    """Read what `cell_to_json` wrote, as fields of a Trial."""
    return _with_records(json.loads(text))


def trial_from_json(text: str) -> Trial:
    """Read a trial written by `to_json`."""
    values = _with_records(json.loads(text))
    variables = tuple(map(tuple, values.pop("variables")))
    return Trial(variables=variables, options=tuple(values.pop("options")), **values)


def response_from_json(text: str) -> Response:
    """Read a response written by `to_json`."""
    values = json.loads(text)
    readouts = tuple(Readout(options=tuple(readout.pop("options")), **readout) for readout in values.pop("readouts"))
    measures = tuple(Measure(**measure) for measure in values.pop("measures"))
    return Response(token_ids=tuple(values.pop("token_ids")), readouts=readouts, measures=measures, **values)


def _with_records(values: dict[str, Any]) -> dict[str, Any]:
    injection = values.pop("injection")
    if injection is not None:
        sites = tuple(Site(**site) for site in injection.pop("sites"))
        injection = Injection(sites=sites, weights=tuple(injection.pop("weights")), **injection)
    sampling = Sampling(**(unwritten(Sampling) | values.pop("sampling")))
    return {**values, "injection": injection, "sampling": sampling}
