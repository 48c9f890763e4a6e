"""Which tests reach a line, by the data that coverage wrote with a context per test."""

import ast
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from coverage import CoverageData


@dataclass(frozen=True)
class Reach:
    """What each test reaches."""

    lines: dict[str, dict[int, set[str]]]
    """Module and line to the tests that run it."""
    wide: Counter[str]
    """How many lines each test runs."""

    @classmethod
    def read(cls, file: Path) -> "Reach":
        """Read what coverage wrote; a test's context is its name and phase, and an import's is empty."""
        data = CoverageData(str(file))
        data.read()
        lines = {
            str(Path(module).relative_to(Path.cwd())): {
                line: {each.partition("|")[0] for each in contexts if each}
                for line, contexts in data.contexts_by_lineno(module).items()
            }
            for module in data.measured_files()
            if module.endswith(".py")  # and not a template of jinja2
        }
        wide = Counter(test for module in lines.values() for tests in module.values() for test in tests)
        return cls(lines, wide)

    def tests(self, module: str, line: int) -> list[str]:
        """Return the tests that reach a line: first those of files named like its module, and those that reach least.

        Those that look at the run which is made once for all tests come last, since each mutant has to make it anew.

        What an import alone runs counts as reached by all that reach the module, or else those that import it.
        """
        reached = self._at(module, range(first_line(module, line), line + 1))
        reached = reached or self._at(module, self.lines.get(module, ()))
        reached = reached or {
            test for other in importers(module, tuple(self.lines)) for test in self._at(other, self.lines[other])
        }
        named = words(module)

        def order(test: str) -> tuple[bool, int, int, str]:
            file, _, name = test.partition("::")
            return name.partition("[")[0] in sharing(file), -len(named & words(file)), self.wide[test], test

        return sorted(reached, key=order)

    def _at(self, module: str, lines: Iterable[int]) -> set[str]:
        return {test for line in lines for test in self.lines.get(module, {}).get(line, ())}


@cache
def sharing(file: str) -> set[str]:
    """Return the tests of a file that ask for the run which all share."""
    functions = (node for node in ast.walk(parsed(file)) if isinstance(node, ast.FunctionDef))
    return {each.name for each in functions if "finished" in {argument.arg for argument in each.args.args}}


def words(path: str) -> set[str]:
    """Return the words of a file's name."""
    return set(Path(path).stem.split("_"))


def first_line(module: str, line: int) -> int:
    """Return where the innermost statement begins that a line is part of."""
    statements = (node for node in ast.walk(parsed(module)) if isinstance(node, ast.stmt))
    return max((node.lineno for node in statements if node.lineno <= line <= (node.end_lineno or 0)), default=line)


@cache
def parsed(module: str) -> ast.Module:
    """Return the tree of a module."""
    return ast.parse(Path(module).read_text())


def importers(module: str, modules: Iterable[str]) -> list[str]:
    """Return which modules import from a module."""
    name = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return [each for each in modules if name in imported(each)]


@cache
def imported(module: str) -> set[str]:
    """Return the names of what a module imports from: packages, and what may be modules in them."""
    froms = [node for node in ast.walk(parsed(module)) if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}{end}" for node in froms for end in ("", *(f".{alias.name}" for alias in node.names))}
