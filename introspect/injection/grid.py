"""A grid: all that a sweep crosses, checked and in one normal form before anything is run.

Goes in: what the user asked for. Comes out: a frozen Grid without repetitions, or an InputError naming the value.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from introspect.errors import InputError, unknown
from introspect.records import ARMS, STRENGTH_UNITS, Arm, Sampling, Site, StrengthUnit

Mode = Literal["each", "together"]
"""`each`: one trial a site. `together`: one trial with the injection at all sites."""
MODES: tuple[Mode, ...] = ("each", "together")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is crossed with what; lists lose their repetitions, strengths become floats."""

    model: str
    weights_hash: str
    dtype: str
    protocol: str
    template: str
    template_hash: str
    n_loops: int
    """Loops run in every forward."""
    n_layers: int
    concepts: tuple[str, ...]
    sites: tuple[Site, ...]
    strengths: tuple[float, ...]
    vectors_hash: str
    vector_loops: int
    """Loops for which there are concept vectors."""
    mode: Mode = "each"
    arms: tuple[Arm, ...] = ARMS
    extract_loops: tuple[int | None, ...] = (None,)
    """Loops whose vectors are injected; None means that of each site."""
    unit: StrengthUnit = "vector"
    repeats: int = 1
    """Trials that differ in nothing but their draws."""
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        """Bring the lists into normal form and raise InputError for what cannot be run."""
        for name in ("concepts", "arms", "extract_loops"):
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))))
        object.__setattr__(self, "sites", tuple(sorted(set(self.sites))))
        strengths = dict.fromkeys(_finite(value) + 0.0 for value in self.strengths)  # + 0.0 turns -0.0 into 0.0
        object.__setattr__(self, "strengths", tuple(strengths))
        self._check_names()
        self._check_sites()
        self._check_numbers()

    def _check_names(self) -> None:
        needed = ("concepts", "arms") if self.arms == ("none",) else ("concepts", "arms", "sites", "strengths")
        for name in (*needed, "extract_loops"):
            if not getattr(self, name):
                raise InputError(f"{name}: the list is empty; give at least one")
        _known("arm", self.arms, ARMS)
        _known("injection mode", [self.mode], MODES)
        _known("strength unit", [self.unit], STRENGTH_UNITS)

    def _check_sites(self) -> None:
        for site in self.sites:
            if not (0 <= site.loop < self.n_loops and 0 <= site.layer < self.n_layers):
                raise InputError(
                    f"site {site} (loop:layer) is outside the model; "
                    f"loops are 0 to {self.n_loops - 1}, layers 0 to {self.n_layers - 1}"
                )
            if None in self.extract_loops and site.loop >= self.vector_loops:
                raise InputError(f"site {site}: there are vectors for loops 0 to {self.vector_loops - 1} only")
        for loop in self.extract_loops:
            if loop is not None and not 0 <= loop < self.vector_loops:
                raise InputError(f"extraction loop {loop}: there are vectors for loops 0 to {self.vector_loops - 1}")

    def _check_numbers(self) -> None:
        check_counts(repeats=self.repeats, loops=self.n_loops)
        check_sampling(self.sampling)


def check_counts(**counts: int | None) -> None:
    """Raise InputError naming the first count that is below 1; None is left out."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise InputError(f"{name} {value}: must be at least 1")


def check_sampling(sampling: Sampling) -> None:
    """Raise InputError for settings with which nothing can be drawn."""
    check_counts(max_new_tokens=sampling.max_new_tokens)
    if not 0 <= sampling.temperature < math.inf:
        raise InputError(f"temperature {sampling.temperature}: must be a finite number, 0 or more")
    if not 0 < sampling.top_p <= 1:
        raise InputError(f"top_p {sampling.top_p}: must be above 0 and at most 1")


def _finite(strength: float) -> float:
    if not math.isfinite(strength):
        raise InputError(f"strength {strength} is not a finite number")
    return float(strength)


def _known(kind: str, names: Iterable[str], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
