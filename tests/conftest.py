"""What several test files look at: a tiny model as a folder, and one finished run of it. Copy the run to change it.

Figures are written small, and with fonts that PDF draws itself: most of a small sweep would else be the embedding of
fonts. `published_figures` writes them as users get them; so does every command that is run in a process of its own.
"""

from collections import Counter
from pathlib import Path

import pytest
from swept import options, save_quietly
from tiny import tiny_model

from introspect.experiment.sweep import run_sweep
from introspect.results.store import csv_files
from tests.families import VARIANTS

PUBLISHED = {"FONTS": csv_files.FONTS, "FORMATS": csv_files.FORMATS}
csv_files.FONTS = {"pdf.fonttype": 3}
csv_files.FORMATS = {**csv_files.FORMATS, "png": {"dpi": 40}}


@pytest.fixture
def published_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write figures as users get them."""
    for name, value in PUBLISHED.items():
        monkeypatch.setattr(csv_files, name, value)


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
