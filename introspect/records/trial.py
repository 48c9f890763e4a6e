"""The records of what is asked: Site, Injection, Sampling, Trial. What comes of it is in `records.response`.

All are frozen. `strength` multiplies the concept vector as extracted (unit "vector"), or the mean residual norm at the
site times the vector's direction ("residual"); or the vector is multiplied with what moves the next-token distribution
after a reference text by `strength` nats of KL divergence from the clean one ("kl"). Loops and layers count from 0.
"""

import hashlib
import json
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


def _with_records(values: dict[str, Any]) -> dict[str, Any]:
    injection = values.pop("injection")
    if injection is not None:
        sites = tuple(Site(**site) for site in injection.pop("sites"))
        injection = Injection(sites=sites, weights=tuple(injection.pop("weights")), **injection)
    sampling = Sampling(**(unwritten(Sampling) | values.pop("sampling")))
    return {**values, "injection": injection, "sampling": sampling}
