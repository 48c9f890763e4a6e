"""Which test fails for each of many small changes of the code; `mutations.py` draws them.

    pip install -c constraints.txt -e ".[mutants]"
    OMP_NUM_THREADS=1 python -m pytest -n auto --cov=introspect --cov-context=test --cov-report=
    OMP_NUM_THREADS=1 python -m benchmarks.mutants [--n 400] [--seed 0] [--tests 80] [--out mutants.jsonl]

The run of the tests says which of them reach a line. A mutant is imported in its module's place by a fork of a process
that has the heavy libraries, and meets the tests that reach its line: first those of files that are named like its
module, and of them those that reach the fewest lines in all.
A line of `--out` is an outcome. Mutants with a line are not run again, so that a run that was stopped goes on; those
that survived are run again when more `--tests` are asked for. A mutant is `unsound` where what killed it fails without
it, too.
"""

import contextlib
import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from time import process_time
from types import CodeType
from typing import Any

import pytest
import typer

from benchmarks.mutants.mutations import PACKAGES, Mutant, drawn
from benchmarks.mutants.reach import Reach
from benchmarks.timing import OUT, show

HEAVY = """import anyio.pytest_plugin, hypothesis, pytest, sys
sys.path.insert(0, "tests")
import conftest
print(*sys.modules, sep="\\n")"""
"""What tests import; what is not of the package is imported once; anyio before nnsight."""
ARGUMENTS = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
ENOUGH, LIMIT = 20.0, 240
"""Seconds of processor time after which no further test is begun, and of the clock after which a test hangs."""
FIRST = 12
"""Tests that are met before the files of all others are imported."""

Outcome = dict[str, Any]  # Any: what JSON holds


@dataclass(eq=False)
class Nearest:
    """A plugin of pytest that runs some tests in an order of its own, and keeps what fails first."""

    tests: list[str]
    met: int = 0
    failed: Outcome = field(default_factory=dict)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the tests that were asked for, in their order, a file at a time."""
        place = {test: place for place, test in reversed(list(enumerate(self.tests)))}
        files = {file_of(test): place for test, place in reversed(place.items())}
        chosen = [item for item in items if item.nodeid in place]
        items[:] = sorted(chosen, key=lambda item: (files[file_of(item.nodeid)], place[item.nodeid]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a test that fails, and count those that are met."""
        self.met += report.when == "call"
        self.pytest_collectreport(report)

    def pytest_collectreport(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Keep a file that cannot be imported."""
        if report.failed and not self.failed:
            why = str(report.longreprtext).strip().rpartition("\n")[2][:160]
            self.failed = {"outcome": "killed", "by": report.nodeid, "why": why}

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Stop when it is enough."""
        if process_time() > ENOUGH:
            item.session.shouldstop = "enough"


def file_of(test: str) -> str:
    """Return the file of a test."""
    return test.partition("::")[0]


def outcome(case: tuple[Mutant, list[str]]) -> tuple[Mutant, Outcome]:
    """Return what the tests make of a mutant, in a process that imports the package anew and ends thereafter."""
    mutant, tests = case
    signal.signal(signal.SIGALRM, hangs)
    signal.alarm(LIMIT)
    instead_of(mutant)
    met = 0
    for part in (tests[:FIRST], tests[FIRST:]):
        nearest = Nearest(part)
        if part and run(nearest, "-x") == pytest.ExitCode.USAGE_ERROR:
            return mutant, {"outcome": "killed", "by": "tests/conftest.py", "why": "cannot be imported"}
        if nearest.failed:
            return mutant, nearest.failed
        met += nearest.met
    assert met or not tests, f"none of the tests of {mutant} was run"
    return mutant, {"outcome": "survived", "reach": len(tests), "met": met}


def fails(test: str) -> bool:
    """Return whether a test fails on the code as it is, so that it says nothing of a mutant."""
    nearest = Nearest([test])
    run(nearest)
    return bool(nearest.failed)


def run(nearest: Nearest, *more: str) -> int:
    """Run the tests that a plugin chooses, without a word, and return pytest's status."""
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # tests start their own
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        return pytest.main([*ARGUMENTS, *more, *dict.fromkeys(map(file_of, nearest.tests))], plugins=[nearest])


def hangs(*_: object) -> None:
    """Have the test that runs fail."""
    raise TimeoutError(f"more than {LIMIT} s")


def instead_of(mutant: Mutant) -> None:
    """Have a mutant imported in the place of its module, in this process."""
    path, source, loaded = Path(mutant.module).resolve(), mutant.source, SourceFileLoader.get_code

    def code(self: SourceFileLoader, name: str) -> CodeType | None:
        return compile(source, self.path, "exec") if Path(self.path) == path else loaded(self, name)

    SourceFileLoader.get_code = code  # type: ignore[method-assign]


def main(n: int = 400, seed: int = 0, tests: int = 80, out: Path = Path("mutants.jsonl")) -> None:
    """Run the mutants that have no line yet, and print how many of each package were killed."""
    reach, done = Reach.read(Path(".coverage")), outcomes(out)
    open_ = [m for m in drawn(n, seed) if m not in done or done[m].get("asked", tests) < tests]
    for name in subprocess.check_output([sys.executable, "-c", HEAVY], text=True).split():
        if not name.startswith(("introspect", "tests", "__main")) and not Path("tests", f"{name}.py").exists():
            with contextlib.suppress(ImportError):  # of names that are not modules' own
                import_module(name)
    gc.freeze()  # else each fork copies what the collector looks at, which takes as long as its tests
    cases = [(mutant, reach.tests(mutant.module, mutant.line)[:tests]) for mutant in open_]
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for mutant, found in pool.imap_unordered(outcome, cases):
            keep(out, mutant, found | ({"asked": tests} if found["outcome"] == "survived" else {}))
        killers = sorted({found["by"] for found in outcomes(out).values() if "::" in found.get("by", "")})
        unsound = {test for test, bad in zip(killers, pool.imap(fails, killers), strict=True) if bad}
    for mutant, found in outcomes(out).items():
        if found.get("by") in unsound:
            keep(out, mutant, found | {"outcome": "unsound"})
    counts = Counter((mutant.module.split("/")[1], found["outcome"]) for mutant, found in outcomes(out).items())
    names = ("killed", "survived", "unsound")
    show(
        f"{counts.total()} mutants", ("package", *names), [(p, *(counts[p, each] for each in names)) for p in PACKAGES]
    )
    OUT.print(str(out))


def keep(out: Path, mutant: Mutant, found: Outcome) -> None:
    """Add a line to the outcomes."""
    with out.open("a") as lines:
        lines.write(json.dumps({"mutant": asdict(mutant), "diff": mutant.diff, **found}) + "\n")


def outcomes(out: Path) -> dict[Mutant, Outcome]:
    """Return what became of each mutant that has a line; its last one counts."""
    lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    return {Mutant(**line.pop("mutant")): line for line in lines}


if __name__ == "__main__":
    typer.run(main)
