"""The fault benchmark counts what is wrong, draws the same cases from one seed, and a few of each kind find nothing."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from hypothesis import strategies as st

from benchmarks.faults import calls, cases, checkpoints, flips
from benchmarks.faults.__main__ import KINDS, tally
from introspect.errors import InputError
from introspect.results.tables import all_tables


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return checkpoints.save_families(tmp_path_factory.mktemp("families"))


def test_the_same_seed_draws_the_same_cases_and_another_one_others() -> None:
    for strategy in (calls.calls(), flips.FLIPS):
        one, other, third = (cases.drawn(strategy, 20, seed) for seed in (0, 0, 1))
        assert one == other != third
        assert len(one) == 20


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("broken"), "a traceback: ValueError: broken"),
        (InputError("so"), None),
        (OSError("no"), "exit code 1"),
    ],
)
def test_a_command_that_breaks_is_a_failure_and_one_that_refuses_is_none(
    finished: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str | None
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(all_tables, "summaries", broken)
    found = cases.wrong(["table", finished])
    assert found is said is None or (said is not None and found is not None and found.startswith(said))


def test_a_command_that_does_not_end_is_a_failure(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: object) -> None:
        while True:
            pass

    monkeypatch.setattr(all_tables, "summaries", hangs)
    assert cases.wrong(["table", finished], seconds=0.5) == "no end within 0.5 s"


def test_a_refusal_of_two_lines_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()

    @app.command()
    def two() -> None:
        sys.stderr.write("introspect: one\nand two\n")
        raise typer.Exit(2)

    monkeypatch.setattr(cases, "app", app)
    assert "more or less than one line" in str(cases.wrong([]))


def test_failures_are_counted_with_their_case(monkeypatch: pytest.MonkeyPatch) -> None:
    def three(n: int, seed: int, _: Path) -> Iterator[tuple[str, object]]:
        yield from ((f"case {k} of {n} by {seed}", lambda k=k: ["bad", None] if k == 1 else None) for k in range(3))

    monkeypatch.setitem(KINDS, "three", three)  # type: ignore[arg-type]
    found = tally("three", 9, 7)
    assert (found.tried, found.failures) == (4, ["case 1 of 9 by 7: bad"])


def test_a_run_with_flipped_bytes_is_read_or_refused_by_every_command(
    finished: Path, tiny: Path, tmp_path: Path
) -> None:
    for place, flip in enumerate(cases.drawn(flips.FLIPS, 6, seed=1)):
        names = [name for name in flips.commands_of(place) if name not in ("plot", "report", "sweep")]
        assert flips.tried(flip, names, finished, tiny, tmp_path) == [None] * len(names), flip


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("first", [0, 7, 14])
def test_a_checkpoint_of_any_family_with_any_field_changed_is_loaded_or_refused(
    first: int, folders: dict[str, Path], tmp_path: Path
) -> None:
    made = list(checkpoints.mutations(folders, 1, seed=0))
    assert {mutation.family for mutation in made} <= set(folders)
    assert len(made) > 300
    for mutation in made[first::21]:
        assert checkpoints.tried(mutation, folders, tmp_path) is None, mutation


def test_any_call_from_the_grammar_ends_with_0_or_with_one_line(
    finished: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "deep" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    run = shutil.copytree(finished, tmp_path / "run")
    places = {"RUN": run, "TINY": tiny, "FILE": here / "file", "OUT": here / "out", "NOWHERE": here / "no" / "x"}
    (here / "file").write_text("a file\n")
    for call in cases.drawn(calls.calls(), 25, seed=2):
        assert cases.wrong(calls.filled(call, {name: str(path) for name, path in places.items()})) is None, call


def test_every_command_and_only_these_are_in_the_grammar() -> None:
    assert calls.LEFT_OUT == {"calibrate"}
    drawn = {call[0] for call in cases.drawn(st.one_of(calls.calls()), 400, seed=0)}
    assert drawn == set(calls.commands())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kills", "disks"])
def test_the_table_is_printed_and_nothing_fails(kind: str) -> None:
    command = [sys.executable, "-m", "benchmarks.faults", "--n", "6", "--kinds", kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert kind in done.stdout.splitlines()[-1]
