"""A grid: all that a sweep crosses, checked and in one normal form before anything is run.

Goes in: what the user asked for. Comes out: a frozen Grid without repetitions, or an InputError naming the value.
"""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from introspect.errors import InputError, unknown
from introspect.protocols import Variant
from introspect.records.site import CODA, Stage
from introspect.records.trial import ARMS, LAST, NOT_INJECTED, STRENGTH_UNITS, Arm, Draws, Sampling, Site, StrengthUnit
from introspect.selection import DIGITS, shown

Mode = Literal["each", "loops", "together"]
"""`each`: one trial a site. `loops`: one trial a layer, at all chosen loops. `together`: one trial, at all sites."""
_MOST = 10**12
"""Of whatever is counted: beyond it, not even the plan of a sweep could be counted in a lifetime."""
MODES: tuple[Mode, ...] = ("each", "loops", "together")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is crossed with what; lists lose their repetitions, strengths become floats."""

    model: str
    weights_hash: str
    dtype: str
    protocol: str
    variants: tuple[Variant, ...]
    """What is asked."""
    totals: tuple[int, ...]
    """Numbers of loops run in every forward."""
    remaining: int | None = None
    """Loops that are run after the last injected one; `totals` then only says which loops there are."""
    layers: Mapping[Stage, int]
    """Layers of the model in each stage."""
    concepts: tuple[str, ...]
    sites: tuple[Site, ...]
    strengths: tuple[float, ...]
    vectors_hash: str
    vector_loops: int
    """Loops for which there are concept vectors."""
    mode: Mode = "each"
    split_dose: bool = False
    """Divide the strength by the number of an injection's sites, so that the total is the same."""
    arms: tuple[Arm, ...] = ("injected", "none", "random")
    partners: Mapping[Arm, Mapping[str, str]] = field(default_factory=dict)
    """For the arms `wrong` and `opposite`, the concept whose vector is injected in place of another's."""
    offers_partners: bool = False
    """Whether a question with words on offer offers the partners of its concept, too."""
    aligned: bool = False
    """Whether random vectors at several loops have one direction for all loops of a layer."""
    extract_loops: tuple[int | None, ...] = (None,)
    """Loops whose vectors are injected; None means that of each site."""
    unit: StrengthUnit = "vector"
    reference: str | None = None
    """For the unit "kl", hash of the template on which doses are measured; None: on each trial's own prompt."""
    states_hash: str | None = None
    """For the arm `swap`, content hash of the states of prompts."""
    numbers: tuple[int, ...] = (1,)
    """Trial numbers that the model is told, used in turn by the repeats."""
    repeats: int = 1
    """Trials that differ in nothing but their draws."""
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    dates: Mapping[str, str] = field(default_factory=dict)
    """The day that is written into the prompts of a template, by its hash, where the chat format writes one."""

    def __post_init__(self) -> None:
        """Bring the lists into normal form and raise InputError for what cannot be run."""
        for name in ("concepts", "arms", "extract_loops", "totals", "numbers"):
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))))
        object.__setattr__(self, "sites", tuple(sorted(set(self.sites))))
        strengths = dict.fromkeys(_finite(value) + 0.0 for value in self.strengths)  # + 0.0 turns -0.0 into 0.0
        object.__setattr__(self, "strengths", tuple(strengths))
        self._check_names()
        self._check_sites()
        self._check_numbers()

    def injections(self) -> Iterator[tuple[int, tuple[Site, ...]]]:
        """Yield each number of loops to run with the sites of one injection; sites that are not reached drop out."""
        groups = [
            (total, self._groups([site for site in self.sites if site.loop < total or site.loop == CODA]))
            for total in self.totals
        ]
        pairs = [(total, sites) for total, group in groups for sites in group]
        if self.remaining is not None:  # several totals may have an injection in common
            pairs = [(sites[-1].loop + 1 + self.remaining, sites) for _, sites in pairs]
        yield from dict.fromkeys(pairs)

    def partners_of(self, concept: str) -> tuple[str, ...]:
        """Return the words that a question about a concept must offer, beside the concept."""
        if not self.offers_partners:
            return ()
        return tuple(dict.fromkeys(partners[concept] for partners in self.partners.values()))

    def loops_run(self) -> tuple[int, ...]:
        """Return every number of loops that some trial runs."""
        if self.remaining is None:
            return self.totals
        return tuple(dict.fromkeys(loops for loops, _ in self.injections()))

    def _groups(self, sites: list[Site]) -> list[tuple[Site, ...]]:
        """Put together the sites of one injection."""
        if self.mode == "each":
            return [(site,) for site in sites]
        if self.mode == "together":
            return [tuple(sites)] if sites else []
        rows = dict.fromkeys((site.stage, site.layer) for site in sites)
        return [tuple(site for site in sites if (site.stage, site.layer) == row) for row in rows]

    def _check_names(self) -> None:
        idle = not set(self.arms) - set(NOT_INJECTED)
        needed = ("concepts", "arms") if idle else ("concepts", "arms", "sites", "strengths")
        for name in (*needed, "extract_loops", "totals", "numbers", "variants"):
            if not getattr(self, name):
                raise InputError(f"{name}: the list is empty; give at least one")
        _known("arm", self.arms, ARMS)
        _known("injection mode", [self.mode], MODES)
        _known("strength unit", [self.unit], STRENGTH_UNITS)

    def _check_sites(self) -> None:
        most = max(self.totals)
        for site in self.sites:
            n_layers, looped = self.layers[site.stage], site.stage == "core"
            if not (0 <= site.layer < n_layers and (0 <= site.loop < most or not looped)):
                where = f"loops are 0 to {most - 1}, layers" if looped else f"layers of the {site.stage}"
                raise InputError(f"site {site} is outside the model; {where} are 0 to {n_layers - 1}")
            if not looped and self.extract_loops != (None,):
                raise InputError(f"site {site}: outside of the loops there is one vector, with no loop to choose")
            if not looped and self.remaining is not None:
                raise InputError(f"site {site}: remaining loops are counted behind a loop, which it is not in")
            if looped and None in self.extract_loops and site.loop >= self.vector_loops:
                raise InputError(f"site {site}: there are vectors for loops 0 to {self.vector_loops - 1} only")
        for loop in self.extract_loops:
            if loop is not None and not 0 <= loop < self.vector_loops:
                raise InputError(f"extraction loop {loop}: there are vectors for loops 0 to {self.vector_loops - 1}")

    def _check_numbers(self) -> None:
        check_counts(repeats=self.repeats, loops=min(self.totals), trial_number=min(self.numbers))
        if self.remaining is not None and self.remaining < 0:
            raise InputError(f"remaining loops {self.remaining}: must be 0 or more")
        for strength in self.strengths if self.unit == "kl" else ():
            if strength < 0:
                raise InputError(f"strength {strength} nats of KL divergence: must be 0 or more")
        check_sampling(self.sampling)
        fewest = min(self.loops_run(), default=1)
        if self.sampling.exit.isdecimal() and int(self.sampling.exit) >= fewest:
            raise InputError(f"exit {self.sampling.exit}: some trials run {fewest} loops, 0 to {fewest - 1}")


def check_counts(**counts: int | None) -> None:
    """Raise InputError naming the first count that is below 1; None is left out."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise InputError(f"{name} {value}: must be at least 1")
        if value is not None and value > _MOST:
            raise InputError(f"{name} {value}: must be at most {_MOST}")


def check_sampling(sampling: Sampling) -> None:
    """Raise InputError for settings with which nothing can be drawn."""
    check_counts(max_new_tokens=sampling.max_new_tokens)
    if not 0 <= sampling.temperature <= sys.float_info.max:
        raise InputError(f"temperature {sampling.temperature}: must be a finite number, 0 or more")
    if not 0 < sampling.top_p <= 1:
        raise InputError(f"top_p {sampling.top_p}: must be above 0 and at most 1")
    _known("draws", [sampling.draws], get_args(Draws))
    kind, _, threshold = sampling.exit.partition(":")
    if not (sampling.exit in (LAST, "gate") or _is_loop(sampling.exit) or (kind == "gate" and _is_share(threshold))):
        raise InputError(f"exit {shown(sampling.exit)}: write last, gate, gate:0.9 (0 to 1) or the number of a loop")


def _is_loop(text: str) -> bool:
    return text.isdecimal() and len(text) <= DIGITS


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _finite(strength: float) -> float:
    if not math.isfinite(strength):
        raise InputError(f"strength {strength} is not a finite number")
    return float(strength)


def _known(kind: str, names: Iterable[str], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
