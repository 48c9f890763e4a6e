"""A real server process, `transformers serve`, as the judge: an organism, and a model whose verdicts are known."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from judged import judged_run
from rigged import save_rigged_judge
from typer.testing import CliRunner

from introspect.cli import app
from introspect.models.organisms import organism_folder
from introspect.records.response import Grade
from introspect.results.store.store import Store

TEXTS = ["Yes, I notice a thought about dust.", "No, I do not notice an injected thought.", "Yes. It is about dust."]
PATIENCE = 120.0
"""Seconds to wait for the server to come up."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the server on a free port and give its url."""
    folder = tmp_path_factory.mktemp("server")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub"), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(Path(__file__).with_name("serve_judge.py")), "--port", "0", "--log-level", "info"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **offline})
    try:
        yield listening(process, folder / "log")
    finally:
        process.terminate()
        process.wait()


def listening(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the server says where it listens."""
    until = time.monotonic() + PATIENCE
    while not (found := re.search(r"running on (http://\S+?:\d+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
    assert httpx.get(f"{found[1]}/health").status_code == 200
    return f"{found[1]}/v1"


def judge(run: Path, url: str, model: object, *options: object) -> tuple[int, str, str]:
    command = ["grade", run, "--grader", "judge", "--judge-url", url, "--judge-model", model, *options]
    ran = CliRunner().invoke(app, [*map(str, command)])
    return ran.exit_code, ran.stdout, ran.stderr


def grades(run: Path) -> list[Grade]:
    with Store.open(run) as store:
        return [grade for one in store.trials() for grade in store.grades(one.id) if grade.grader == "judge"]


def test_known_verdicts_come_through_a_live_server(server: str, tmp_path: Path) -> None:
    run, model = judged_run(tmp_path / "run", TEXTS), save_rigged_judge(tmp_path / "rigged")
    code, out, err = judge(run, server, model)
    assert (code, err) == (0, "")
    assert "3 graded" in out
    assert re.search(r"asked 3, 0 replies were kept already; [\d,]+ tokens read, [4-6] written", out)
    assert [(grade.detected, grade.identified, grade.answer) for grade in grades(run)] == [
        (True, False, "yes"),
        (False, False, "no"),
        (True, False, "yes"),
    ]
    before = grades(run)
    assert "asked 0, 3 replies were kept already" in judge(run, server, model)[1]
    assert grades(run) == before


def test_an_organism_behind_a_live_server_gives_states_and_no_verdicts(server: str, tmp_path: Path) -> None:
    run = judged_run(tmp_path / "run", TEXTS[:2])
    code, out, err = judge(run, server, organism_folder("aware"), "--judge-max-tokens", 20)
    assert (code, err) == (0, "")
    assert "graded" not in out.splitlines()[0]
    assert {grade.state for grade in grades(run)} <= {"malformed", "truncated", "refused"}
    assert all(grade.detected is grade.coherent is grade.refused is None for grade in grades(run))


@pytest.mark.slow
def test_a_model_that_a_live_server_does_not_know_is_one_line(server: str, tmp_path: Path) -> None:
    run = judged_run(tmp_path / "run", TEXTS[:1])
    code, out, err = judge(run, server, "no/such-model")
    assert code in (1, 2)
    assert (out, err.count("\n")) == ("", 1)
    assert grades(run) == []
