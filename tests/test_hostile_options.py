"""Options that nobody would mean: each ends at once, with one line and exit code 2, before a model is loaded."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commanded import arguments, introspect, refused
from hypothesis import given
from hypothesis import strategies as st
from swept import SMALL

from introspect.concepts.sets import read_choice
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.selection import MOST, check_selection, counts, numbers, select

HUGE, DIGITS = "1-1000000000", "9" * 5000
SWEEP, DYNAMICS = ("sweep",), ("dynamics",)
REFUSED: list[tuple[tuple[object, ...], str]] = [
    *(((*SWEEP, f"--{name}", HUGE), f"{name.replace('-', '_')}: ") for name in ("n-loops", "trial-numbers")),
    (("dynamics", "--grid", "--blocks", HUGE), "blocks: "),
    (("dynamics", "--grid", "--blocks", "1000"), "blocks 1000: must be 1 to 256"),
    (("monitor", "--n-loops", HUGE), "n_loops: "),
    *(((*SWEEP, f"--{name}", DIGITS), "out of range") for name in ("loops", "layers", "extract-loops", "n-loops")),
    ((*SWEEP, "--loop-layers", f"1-{DIGITS}"), "out of range"),
    ((*SWEEP, "--strengths", DIGITS), "strengths: "),
    ((*SWEEP, "--exit", DIGITS), "exit "),
    ((*SWEEP, "--repeats", "1000000000000000"), "repeats 1000000000000000: must be at most"),
    ((*SWEEP, "--repeats", DIGITS), "repeats"),
    *(((*SWEEP, f"--{name}", ""), f"--{name} '': is empty") for name in ("concepts", "out", "arms", "template")),
    ((*SWEEP, "--out="), "--out '': is empty"),
    ((*SWEEP, "--concepts", ","), "concepts ',': the list is empty"),
    ((*SWEEP, "--pairs", "mine.csv"), "pairs 'mine.csv': is for --contrast pairs, not baseline"),
    ((*DYNAMICS, "--recurrences", "1000000000"), "recurrences 1000000000: must be at most"),
    ((*DYNAMICS, "--run", "RUN", "--layers", "0"), "layers: is that of the run"),
    ((*DYNAMICS, "organism:aware", "--run", "RUN"), "model: is that of the run"),
    (("monitor", "--run", "RUN", "--concepts", "dust"), "concepts: is that of the run"),
    (("trajectory", "--run", "RUN", "--strengths", "3"), "strengths: is that of the run"),
    ((*DYNAMICS, "--grid", "--layers", "0"), "layers: has no meaning with --grid"),
    *(((name, "--out", "FILE"), "cannot be used as a folder") for name in ("dynamics", "monitor", "trajectory")),
    (("dynamics", "--grid", "--out", "FILE/below"), "cannot be used as a folder"),
    *(((name, "x" * 9000), "is too long for the name of a file") for name in ("grade", "table", "report")),
]


@pytest.mark.parametrize(("command", "said"), REFUSED, ids=[" ".join(map(str, each))[:60] for each, _ in REFUSED])
def test_it_ends_at_once_with_one_short_line(tmp_path: Path, command: tuple[object, ...], said: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    words = [str(word).replace("FILE", str(tmp_path / "file")).replace("RUN", str(tmp_path)) for word in command]
    begun = time.monotonic()
    line = refused(*words)
    assert said in line
    assert len(line) < 500
    assert time.monotonic() - begun < 20


def test_a_dry_run_of_the_design_study_runs_and_writes_nothing(tmp_path: Path) -> None:
    asked = ("--grid", "--dry-run", "--blocks", "4,8", "--train-steps", "0", "--out", tmp_path / "out")
    code, out, _ = introspect("dynamics", *asked)
    assert (code, out) == (0, "36 stacks of 4,8 blocks, each run for 128 loops\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("folder", ["12:00", "C:"])
@pytest.mark.parametrize("items", ["", ":lava", ":all"])
def test_a_path_may_hold_a_colon(tmp_path: Path, folder: str, items: str) -> None:
    (tmp_path / folder).mkdir()
    path = tmp_path / folder / "mine.csv"
    path.write_text("word,category,split\nlava,things,concept\nsea,things,baseline\n")
    assert read_choice(f"{path}{items}", default="published")[1].words == ("lava",)


@pytest.mark.parametrize(
    ("name", "value"), [("repeats", "3"), ("seed", 1.5), ("loops", 3), ("split_dose", 1), ("out", 1)]
)
def test_an_option_of_another_type_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^{name} .*: must be of type"):
        Options(**{name: value})  # type: ignore[arg-type]


def outcome(read: Callable[[], object]) -> tuple[Any, str | None]:
    try:
        return read(), None
    except InputError as error:
        return None, str(error)


@given(st.text("0123456789,-. alnefx²", max_size=40) | st.sampled_from([HUGE, DIGITS, "0.5", "0-0", "-1"]))
def test_no_text_is_read_as_a_selection_but_within_bounds(text: str) -> None:
    for read in (
        lambda: select(text, 5, option="loops"),
        lambda: counts(text, option="blocks"),
        lambda: numbers(text, option="strengths"),
        lambda: check_selection(text, option="layers"),
    ):
        found, refusal = outcome(read)
        assert len(found or []) <= MOST
        assert refusal is None or refusal.startswith(("loops: ", "blocks: ", "strengths: ", "layers: "))
        assert refusal is None or len(refusal) < 300


def test_what_a_sweep_of_the_tests_asks_for_is_still_taken(tiny: Path, tmp_path: Path) -> None:
    code, _, err = introspect("sweep", tiny, *arguments(SMALL), "--out", tmp_path / "run", "--dry-run")
    assert code == 0, err
