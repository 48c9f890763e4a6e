"""Try every kind and print a table: python -m benchmarks.faults --n 100 --seed 0 [--kinds kills,disks]."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import torch
import typer
from hypothesis import strategies as st

from benchmarks.faults import calls, checkpoints, disks, flips, kills
from benchmarks.faults.cases import drawn, small_model, small_run, wrong

FLIPS, CALLS = 2, 5
"""How many flipped files and calls there are for each kill."""
WORKERS, RAY = 16, 50
"""One kill in so many is that of a process of a crew, which takes a minute."""


@dataclass
class Tally:
    """What came of one kind."""

    kind: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


Try = tuple[str, Callable[[], "str | list[str | None] | None"]]
"""What a case is, and a function that tells what is wrong with it."""


def of_kills(n: int, seed: int, scratch: Path) -> Iterator[Try]:
    """Kill sweeps and tables, two to one, in forks."""
    bed = kills.made(small_model(scratch / "model"), scratch / "whole")
    for place, kill in enumerate(drawn(kills.KILLS, n, seed)):
        what = "table" if place % 3 == 2 else "sweep"
        yield f"{what} {kill}", lambda kill=kill, what=what: kills.tried(kill, what, bed, scratch)


def of_crews(n: int, seed: int, scratch: Path) -> Iterator[Try]:
    """Kill drivers and workers, processes and, where it is installed, those of Ray."""
    bed = kills.made(small_model(scratch / "model"), scratch / "whole")
    crews = {"--workers": (["--workers", "2"], max(1, n // WORKERS)), "--ray": (["--ray", "local"], max(1, n // RAY))}
    if find_spec("ray") is None:
        del crews["--ray"]
    for flag, (crew, count) in crews.items():
        bed.took[flag] = kills.seconds_of_crew(crew, bed, scratch)
        for kill, whose in drawn(st.tuples(kills.KILLS, st.integers(0, 7)), count, seed):
            yield (
                f"{flag} {kill} process {whose}",
                lambda kill=kill, crew=crew, whose=whose: kills.tried_with_workers(kill, crew, whose, bed, scratch),
            )


def of_disks(n: int, seed: int, scratch: Path) -> Iterator[Try]:
    """Fill disks."""
    bed = kills.made(small_model(scratch / "model"), scratch / "whole")
    for share in drawn(disks.SIZES, max(1, n // 2), seed):
        yield f"{share:.1%} of the space", lambda share=share: disks.tried(share, bed, scratch)


def of_flips(n: int, seed: int, scratch: Path) -> Iterator[Try]:
    """Flip bytes; counted are commands."""
    model = small_model(scratch / "model")
    whole = small_run(model, scratch / "whole")
    for place, flip in enumerate(drawn(flips.FLIPS, FLIPS * n, seed)):
        names = flips.commands_of(place)
        yield f"{flip} {names}", lambda flip=flip, names=names: flips.tried(flip, names, whole, model, scratch)


def of_checkpoints(n: int, seed: int, scratch: Path) -> Iterator[Try]:
    """Mutate each field of each family's config, one time for every hundred."""
    folders = checkpoints.save_families(scratch / "families")
    for mutation in checkpoints.mutations(folders, max(1, n // 100), seed):
        yield str(mutation), lambda mutation=mutation: checkpoints.tried(mutation, folders, scratch)


def of_calls(n: int, seed: int, scratch: Path) -> Iterator[Try]:
    """Call commands as nobody would, and as somebody might."""
    model = small_model(scratch / "model")
    run, here = small_run(model, scratch / "whole"), scratch / "deep" / "here"
    here.mkdir(parents=True)
    (here / "file").write_text("a file\n")
    places = {"RUN": run, "TINY": model, "FILE": here / "file", "OUT": here / "out", "NOWHERE": here / "nowhere" / "x"}
    spelled = {name: str(path) for name, path in places.items()}
    for call in drawn(calls.calls(), CALLS * n, seed):
        words = calls.filled(call, spelled)

        def called(words: list[str] = words) -> str | None:
            with chdir(here):
                return wrong(words)

        yield " ".join(call)[:300], called


KINDS: dict[str, Callable[[int, int, Path], Iterator[Try]]] = {
    "kills": of_kills,
    "crews": of_crews,
    "disks": of_disks,
    "flips": of_flips,
    "checkpoints": of_checkpoints,
    "calls": of_calls,
}


def tally(kind: str, n: int, seed: int, most: float | None = None) -> Tally:
    """Try all cases of a kind, or as many as begin within `most` seconds."""
    found, begun = Tally(kind), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for what, tried in KINDS[kind](n, seed, Path(folder)):
            if most is not None and time.monotonic() - begun > most:
                break
            said = tried()
            results = said if isinstance(said, list) else [said]
            found.tried += len(results)
            found.failures += [f"{what}: {each}" for each in results if each is not None]
    found.seconds = time.monotonic() - begun
    return found


def main(
    n: Annotated[int, typer.Option(help="Kills; the other kinds are multiples of it.")] = 100,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    kinds: Annotated[str, typer.Option(help="Some of them, separated by commas.")] = ",".join(KINDS),
    most: Annotated[float | None, typer.Option(help="Seconds after which no more cases of a kind are begun.")] = None,
) -> None:
    """Try every kind, print each failure and then the table; exit code 1 where anything failed."""
    torch.set_num_threads(1)  # a process with more could not be forked
    found = []
    for kind in kinds.split(","):
        found.append(tally(kind, n, seed, most))
        for failure in found[-1].failures:
            print(f"FAILED {kind}: {failure}", flush=True)
        print(f"{kind}: {found[-1].tried} tried in {found[-1].seconds:.0f} s", flush=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"\n{datetime.now(UTC):%d %b %Y}, {machine}")
    print(f"{'kind':<12}{'tried':>8}{'failed':>8}{'seed':>6}{'seconds':>9}")
    for one in found:
        print(f"{one.kind:<12}{one.tried:>8}{len(one.failures):>8}{seed:>6}{one.seconds:>9.0f}")
    sys.exit(any(one.failures for one in found))


if __name__ == "__main__":
    typer.run(main)
