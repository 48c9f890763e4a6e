"""What several test files look at: a tiny model as a folder, and one finished run of it. Copy the run to change it.

Figures are written small and as PNG alone: most of a small sweep would else be the drawing of them, once for each
format. `published_figures` writes them as users get them; so does every command that is run in a process of its own.
The run is made once for all workers of pytest-xdist, and each has a copy, for one process at a time writes to a run.
"""

import gc
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from swept import options, save_quietly
from tiny import tiny_model

from introspect.experiment.sweep import run_sweep
from introspect.results.store import csv_files
from tests.families import VARIANTS

PUBLISHED = csv_files.FORMATS
csv_files.FORMATS = {"png": {"dpi": 40}}


@pytest.fixture
def published_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write figures as users get them."""
    monkeypatch.setattr(csv_files, "FORMATS", PUBLISHED)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to `make slow` what is marked `slow_after(n)` but its first n cases, and a family's second variants."""
    seen: Counter[str] = Counter()
    for item in items:
        given = item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
        mark, name = item.get_closest_marker("slow_after"), item.nodeid.partition("[")[0]
        seen[name] += 1
        variant = any(isinstance(each, str) and each in VARIANTS for each in given)
        if variant or (mark is not None and seen[name] > mark.args[0]):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage, a thirtieth of the time of tests of tables."""
    gc.freeze()


def once(shared: Path, make: Callable[[Path], Path]) -> Path:
    """Return a folder that all workers read, made by the first that asks; the others wait for it."""
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            make(shared.with_suffix(".part")).rename(shared)
    return shared


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the whole test run, which workers have theirs in; without workers it is the only one."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def tiny(common: Path) -> Path:
    """Return the folder of a tiny model with random weights, which no test may change."""
    return once(common / "tiny", lambda folder: save_quietly(tiny_model(), folder))


@pytest.fixture(scope="session")
def finished(tiny: Path, common: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run with every arm, tables and figures."""
    made = once(common / "finished", lambda folder: run_sweep(options(tiny, folder)).folder)
    return shutil.copytree(made, tmp_path_factory.mktemp("runs") / "finished")
