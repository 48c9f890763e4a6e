"""What several test files look at: a tiny model as a folder, and one finished run of it. Copy the run to change it."""

from pathlib import Path

import pytest
from swept import options, save_quietly
from tiny import tiny_model

from introspect.experiment.sweep import run_sweep


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a tiny model with random weights."""
    return save_quietly(tiny_model(), tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def finished(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a finished run with every arm, tables and figures."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    return run_sweep(options(tiny, folder)).folder
