"""The three analyses of a real model, on few concepts and short texts: each ends with tables and a sentence."""

from pathlib import Path

import pandas as pd
import pytest
from commands import FIVE, THREE, introspect
from conftest import Model

pytestmark = pytest.mark.real
SMALL = ("--loops", "0", "--layers", "0.5", "--strengths", "2")
COMMANDS = {
    "monitor": (*FIVE, "--injected", "--repeats", "1"),
    "dynamics": (*THREE, "--recurrences", "4", "--attention-loops", "2", "--follow", "2", "--max-tokens", "32"),
    "trajectory": THREE,
}


@pytest.mark.parametrize("analysis", COMMANDS)
def test_an_analysis_is_written(analysis: str, model: Model, tmp_path: Path) -> None:
    one = () if model.more else ("--n-loops", "1")
    given = (*model.named, *one, *SMALL, *COMMANDS[analysis], "--out", tmp_path / "analysis")
    if analysis == "dynamics" and not model.more:  # what becomes of the loops of a model that has none
        assert introspect(analysis, *given, code=2) == ""
        assert not (tmp_path / "analysis").exists()
        return
    out = introspect(analysis, *given)
    assert out.splitlines()[0]
    tables = list((tmp_path / "analysis").glob("**/*.csv"))
    assert tables
    for table in tables:
        assert len(pd.read_csv(table).columns), table
    assert list((tmp_path / "analysis").glob("**/*.png"))
