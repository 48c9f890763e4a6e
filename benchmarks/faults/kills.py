"""Kills at random moments of a sweep, of its tables and of its workers; the same command then gives the same tables."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from hypothesis import strategies as st

from benchmarks.faults.cases import small_sweep
from benchmarks.faults.processes import Forked, alive
from tests.swept import tables

SIGNALS = {
    "KILL": (signal.SIGKILL,),
    "TERM": (signal.SIGTERM,),
    "INT": (signal.SIGINT,),
    "INT twice": (signal.SIGINT,) * 2,
}
LASTING = 20.0
"""Seconds after which nothing of a killed driver may live on."""


@dataclass(frozen=True)
class Kill:
    """When a process is killed, and how."""

    signals: str
    moment: float
    """Share of the time that the command takes undisturbed."""
    gap: float
    """Seconds between two signals."""


KILLS = st.builds(Kill, st.sampled_from(sorted(SIGNALS)), st.floats(0, 1), st.floats(0, 0.3))


@dataclass(frozen=True)
class Bed:
    """What runs are compared with."""

    model: Path
    whole: Path
    """The undisturbed run."""
    took: dict[str, float]
    """Seconds of each command, undisturbed."""


def made(model: Path, whole: Path) -> Bed:
    """Make the undisturbed run, and time both commands."""
    took = {"sweep": Forked(small_sweep(model, whole)).wait(), "table": Forked(["table", str(whole)]).wait()}
    for name, ended in took.items():
        assert ended.code == 0, f"{name}, undisturbed: {ended.said}"
    return Bed(model, whole, {name: ended.seconds for name, ended in took.items()})


def tried(kill: Kill, what: str, bed: Bed, scratch: Path) -> str | None:
    """Kill a command, run it again, and tell what is wrong."""
    run = scratch / "run"
    if what == "table":
        shutil.copytree(bed.whole, run, ignore=shutil.ignore_patterns("tables"))
    words = small_sweep(bed.model, run) if what == "sweep" else ["table", str(run)]
    child = Forked(words)
    for place, number in enumerate(SIGNALS[kill.signals]):
        time.sleep(kill.gap if place else kill.moment * bed.took[what])
        child.kill(number)
    ended = child.wait()
    found = ended.wrong or _same_after(words, run, bed)
    shutil.rmtree(run, ignore_errors=True)
    return found


def tried_with_workers(kill: Kill, crew: list[str], whose: int, bed: Bed, scratch: Path) -> str | None:
    """Kill the driver of workers (0) or one of its children, and tell what is wrong with what follows."""
    run, log = scratch / "run", scratch / "log"
    driver = _begun(crew, bed, run, log)
    time.sleep(kill.moment * bed.took[crew[0]])
    children = psutil.Process(driver.pid).children(recursive=True) if driver.poll() is None else []
    victim = [driver.pid, *(each.pid for each in children)][whose % (1 + len(children))]
    for place, number in enumerate(SIGNALS[kill.signals]):
        time.sleep(kill.gap if place else 0)
        if psutil.pid_exists(victim):
            os.kill(victim, number)
    try:
        driver.wait(240)
    except subprocess.TimeoutExpired:
        driver.kill()
        return "no end within 240 s"
    until = time.monotonic() + LASTING
    while alive(children) and time.monotonic() < until:
        time.sleep(0.2)
    said = log.read_text(errors="replace")
    found = f"processes {alive(children)} live on" if alive(children) else None
    found = found or (f"a traceback: {said[-300:]!r}" if "Traceback" in said else None)
    found = found or _same_after(small_sweep(bed.model, run), run, bed)
    shutil.rmtree(run, ignore_errors=True)
    return found


def seconds_of_crew(crew: list[str], bed: Bed, scratch: Path) -> float:
    """Return how long a sweep with workers takes undisturbed; AssertionError where its tables are others."""
    begun = time.monotonic()
    code = _begun(crew, bed, scratch / "run", scratch / "log").wait()
    took = time.monotonic() - begun
    assert code == 0, (scratch / "log").read_text()
    assert tables(scratch / "run") == tables(bed.whole), f"{crew}, undisturbed: other tables"
    shutil.rmtree(scratch / "run")
    return took


def _begun(crew: list[str], bed: Bed, run: Path, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "introspect", *small_sweep(bed.model, run), *crew]
    with log.open("w") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)


def _same_after(words: list[str], run: Path, bed: Bed) -> str | None:
    """Run a command again, and compare the tables and the files with those of the undisturbed run."""
    again = Forked(words).wait()
    if again.code != 0:
        return f"the same command ends with exit code {again.code}: {again.said[-300:]!r}"
    mine, theirs = tables(run), tables(bed.whole)
    if mine != theirs:
        return f"other tables: {', '.join(name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name))}"
    others = _files(run) ^ _files(bed.whole)
    return f"other files: {', '.join(sorted(others)[:5])}" if others else None


def _files(run: Path) -> set[str]:
    """List the files of a run but figures, which a crew's driver draws."""
    return {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.parent.name != "figures"}
