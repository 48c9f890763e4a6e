"""The three analyses of a real model, on few concepts and short texts: each ends with tables and a sentence."""

from pathlib import Path

import pandas as pd
import pytest
from commands import WORDS, introspect
from conftest import Model

pytestmark = pytest.mark.real
SMALL = (*WORDS, "--layers", "0.5", "--strengths", "2")
COMMANDS = {
    "monitor": ("--injected", "--repeats", "2"),
    "dynamics": ("--recurrences", "4", "--attention-loops", "2", "--follow", "2", "--max-tokens", "32"),
    "trajectory": (),
}


@pytest.mark.parametrize("analysis", COMMANDS)
def test_an_analysis_is_written(analysis: str, model: Model, tmp_path: Path) -> None:
    named = model.named if model.more else (*model.named, "--total-loops", "1")
    out = introspect(analysis, *named, *SMALL, *COMMANDS[analysis], "--out", tmp_path / "analysis")
    assert out.splitlines()[0]
    tables = list((tmp_path / "analysis").glob("**/*.csv"))
    assert tables
    for table in tables:
        assert len(pd.read_csv(table).columns), table
    assert list((tmp_path / "analysis").glob("**/*.png"))
