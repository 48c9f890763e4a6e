"""Whether steps from buffers give on this device what steps through nnsight give, before anything is timed.

Goes in: engines by name. Comes out: for each the share of trials with the same tokens, on an organism in float32.
"""

from collections.abc import Mapping, Sequence

from benchmarks.baselines import Tokens
from benchmarks.engines import ours
from benchmarks.setting import Setting, named_setting
from benchmarks.timing import show
from introspect.errors import InputError
from introspect.injection.engine.engine import Engine
from introspect.injection.step.engines import EngineName

LEAST_EQUAL = 0.95
"""Kernels sum in different orders, which turns a draw over now and then."""


def equality(device: str, engines: Sequence[EngineName], n: int, new_tokens: int) -> dict[EngineName, float]:
    """Run the organism's trials by every engine; print and return for each the share of trials that are equal."""
    found = shares(named_setting("organism", device=device), engines, n, new_tokens)
    shown = [(name, n, f"{share:.1%}") for name, share in found.items()]
    show("tokens equal to those through nnsight, organism in float32", ("engine", "trials", "equal"), shown)
    return found


def check_equal(found: Mapping[EngineName, float]) -> None:
    """Raise InputError for an engine whose tokens are others: its times would be those of something else."""
    for name, share in found.items():
        if share < LEAST_EQUAL:
            raise InputError(f"engine {name!r}: tokens equal in {share:.1%} of trials; {LEAST_EQUAL:.0%} needed")


def shares(made: Setting, engines: Sequence[EngineName], n: int, new_tokens: int) -> dict[EngineName, float]:
    """Return for each engine the share of trials with the tokens that nnsight gives."""
    trials = made.trials(n, new_tokens)

    def written(name: EngineName) -> list[Tokens]:
        return ours(Engine(made.tap, made.engine.prompts, made.vectors, steps=name), trials, n)

    expected = written("nnsight")
    return {name: sum(map(tuple.__eq__, written(name), expected)) / n for name in engines}
