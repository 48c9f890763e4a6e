"""Mutants of four packages, drawn evenly over the places where an operator of cosmic-ray changes something.

Goes in: a number and a seed. Come out: mutants, each a line of a module and what is put there.
"""

import ast
import difflib
import random
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

PACKAGES = ("injection", "grading", "results", "report")
KINDS = {"operator": "ReplaceBinary", "comparison": "ReplaceComparison", "number": "NumberReplacer"}
"""Which operators apply to a kind of node; all others are tried on every other kind."""


@dataclass(frozen=True)
class Mutant:
    """One change of the code."""

    module: str
    line: int
    operator: str
    occurrence: int
    """Of the operator in the module, as cosmic-ray counts."""

    @property
    def before(self) -> str:
        """Return the module as it is."""
        return Path(self.module).read_text()

    @property
    def source(self) -> str:
        """Return the changed module."""
        return str(mutate_code(self.before, get_operator(self.operator)(), self.occurrence))

    @property
    def diff(self) -> str:
        """Return the changed lines."""
        lines = difflib.unified_diff(self.before.splitlines(), self.source.splitlines(), n=0, lineterm="")
        return "\n".join(line for line in lines if line[:2] not in ("--", "++", "@@"))


def drawn(n: int, seed: int) -> list[Mutant]:
    """Return mutants that compile: places drawn evenly over the packages' code, and for each one of its operators."""
    draw = random.Random(seed)
    modules = [str(file) for package in PACKAGES for file in sorted(Path("introspect", package).rglob("*.py"))]
    places = [place for module in modules for place in mutants_of(module)]
    mutants = (draw.choice(place) for place in draw.sample(places, len(places)))
    return [mutant for mutant, _ in zip(filter(compiles, mutants), range(n), strict=False)]


def compiles(mutant: Mutant) -> bool:
    """Return whether the changed module can be read without a warning and is another one."""
    warnings.simplefilter("error", SyntaxWarning)
    try:
        return compile(mutant.source, mutant.module, "exec") != compile(mutant.before, mutant.module, "exec")
    except SyntaxError:
        return False


def mutants_of(module: str) -> list[list[Mutant]]:
    """Return for each place of a module, annotations left out, what can be put there."""
    source, counts = Path(module).read_text(), Counter[str]()
    typed, places = annotations(source), defaultdict(list)
    for node in ast_nodes(get_ast(source)):
        for name in operators_for(node.type):
            for begin, _ in OPERATORS[name].mutation_positions(node):
                if not any(first <= begin < last for first, last in typed):
                    places[begin].append(Mutant(module, begin[0], name, counts[name]))
                counts[name] += 1
    return list(places.values())


def operators() -> dict[str, Operator]:
    """Return the operators that need no arguments; arithmetic is not put in the place of bits, nor the reverse."""
    names = [name for name in operator_names() if "Variable" not in name]
    bits = {name: name.count("Bit") + name.count("Shift") for name in names}
    return {name: get_operator(name)() for name in names if bits[name] != 1}


OPERATORS = operators()


@cache
def operators_for(kind: str) -> list[str]:
    """Return the operators that may apply to a kind of node."""
    if kind in KINDS:
        return [name for name in OPERATORS if KINDS[kind] in name]
    return [name for name in OPERATORS if not any(part in name for part in KINDS.values())]


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where each annotation of a module begins and ends: lines from 1, columns from 0."""
    nodes = [getattr(node, part, None) for node in ast.walk(ast.parse(source)) for part in ("annotation", "returns")]
    found = [node for node in nodes if isinstance(node, ast.expr)]
    return [((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0)) for n in found]
