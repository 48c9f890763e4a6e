"""Bytes of run.sqlite flipped at random: every command says what is wrong in one line, or does its work."""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from benchmarks.faults.cases import small_sweep, wrong

COMMANDS: dict[str, tuple[str, ...]] = {
    **{name: (name, "RUN") for name in ("table", "plot", "report", "best", "label", "agree", "grade")},
    "show": ("show", "RUN", "TRIAL"),
    "check": ("show", "RUN", "--check"),
    "power": ("power", "--pilot", "RUN"),
    "sweep": ("SWEEP",),
    **{name: (name, "--run", "RUN", "--dry-run") for name in ("dynamics", "trajectory")},
    "monitor": ("monitor", "--injected", "--run", "RUN", "--dry-run"),
    "compare": ("compare", "RUN", "WHOLE"),
}
"""Every command that reads a run."""
ALWAYS = ("check", "table")
"""What is tried on every damaged file; of the others one, in turn."""


@dataclass(frozen=True)
class Flip:
    """Damage to a file: at each place, by its share of the length, what the byte is combined with."""

    places: tuple[tuple[float, int], ...]

    def damage(self, path: Path) -> None:
        """Flip the bytes."""
        content = bytearray(path.read_bytes())
        for share, mask in self.places:
            content[int(share * (len(content) - 1))] ^= mask
        path.write_bytes(content)


FLIPS = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=8).map(
    lambda places: Flip(tuple(places))
)


def words(name: str, run: Path, whole: Path, model: Path) -> list[str]:
    """Write a command on a run."""
    if name == "sweep":
        return small_sweep(model, run)
    filled = {"RUN": str(run), "WHOLE": str(whole), "TRIAL": first_trial(whole)}
    return [filled.get(word, word) for word in COMMANDS[name]]


def first_trial(run: Path) -> str:
    """Return the id of a trial of a run."""
    with closing(sqlite3.connect(run / "run.sqlite")) as database:
        ((trial_id,),) = database.execute("SELECT id FROM trials WHERE n = 1")
    return str(trial_id)


def tried(flip: Flip, names: Sequence[str], whole: Path, model: Path, scratch: Path) -> list[str | None]:
    """Damage copies of a run, and tell of each command what is wrong."""
    found: list[str | None] = []
    for name in names:
        run = scratch / "run"
        shutil.copytree(whole, run, ignore=shutil.ignore_patterns("figures", "tables"))
        flip.damage(run / "run.sqlite")
        found.append(wrong(words(name, run, whole, model)))
        shutil.rmtree(run)
    return found


def commands_of(number: int) -> tuple[str, ...]:
    """Return the commands that the flip with a number is tried with."""
    others = [name for name in COMMANDS if name not in ALWAYS]
    return (*ALWAYS, others[number % len(others)])
