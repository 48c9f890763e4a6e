"""What several test files look at: a tiny model as a folder, and one finished run of it. Copy the run to change it."""

from collections import Counter
from pathlib import Path

import pytest
from swept import options, save_quietly
from tiny import tiny_model

from introspect.experiment.sweep import run_sweep
from tests.families import VARIANTS


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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny model with random weights."""
    return save_quietly(tiny_model(), tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def finished(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run with every arm, tables and figures."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    return run_sweep(options(tiny, folder)).folder
