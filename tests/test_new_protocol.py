"""A protocol added as docs/how-to/extend.md says: a copy of choose.py under new names, a line in PROTOCOLS, no more."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
from commanded import introspect
from swept import run_without_figures

from introspect.experiment.options import Options
from introspect.protocols import PROTOCOLS, Protocol, choose

NAME = "pick-one"
QUESTION = "picked-word"


def copied(folder: Path) -> Protocol:
    """Copy choose.py, give protocol and question names of their own, and leave its templates and rubric as they are."""
    source = Path(choose.__file__).read_text()
    for old, new in (
        ('    "choose",\n    "', f'    "{NAME}",\n    "'),
        ('Question("choose"', f'Question("{QUESTION}"'),
    ):
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    (folder / "pick_one.py").write_text(source)
    spec = importlib.util.spec_from_file_location("pick_one", folder / "pick_one.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    protocol = module.CHOOSE
    assert isinstance(protocol, Protocol)
    return protocol


def test_a_copy_of_choose_under_new_names_is_graded_tabulated_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol, run = copied(tmp_path), tmp_path / "run"
    monkeypatch.setitem(PROTOCOLS, protocol.name, protocol)
    few = {"concepts": "trust,doubt,desert,river,melon", "layers": "1", "loops": "0", "strengths": "2"}
    run_without_figures(Options(model="organism:aware", protocol=NAME, **few, max_new_tokens=12, out=run))

    trials = pd.read_csv(run / "tables" / "trials.csv")
    asked = trials[trials["question"] == QUESTION]
    assert set(asked["arm"]) == set(protocol.arms)
    assert asked["rules_correct"].notna().any(), "verdicts"
    assert asked["rules_detected"].isna().all(), "it does not ask whether a thought is noticed"

    rates = pd.read_csv(run / "tables" / "rates.csv")
    counted = rates[(rates["question"] == QUESTION) & (rates["measure"] == "correct")]
    assert set(counted["arm"]) == set(protocol.arms)
    assert (counted["n"] > 0).any()
    assert counted["rate"].notna().any()

    code, _, err = introspect("report", run)
    assert code == 0, err
    assert QUESTION in (run / "report.html").read_text()
