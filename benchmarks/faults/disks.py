"""Disks that are full at a random size: a sweep says so in one line; with room the same command gives the same tables.

Where file systems may be mounted, the disk is one of that size in memory; else files may not grow beyond it.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from benchmarks.faults.cases import is_one_line, small_sweep
from benchmarks.faults.kills import Bed
from benchmarks.faults.processes import Forked
from tests.swept import tables

SIZES = st.integers(0, 1000).map(lambda share: share / 1000)
"""Of the space that the whole run takes."""
LEAST = 4096


@contextmanager
def disk(folder: Path, size: int) -> Iterator[bool]:
    """Make a folder a disk of `size` bytes, if that is allowed; tell whether it is one."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "faults", str(folder)], capture_output=True, check=False
    )
    mounted = done.returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder)


def tried(share: float, bed: Bed, scratch: Path) -> str | None:
    """Sweep onto a disk of a share of what is needed, then with room, and tell what is wrong."""
    sizes = [path.stat().st_size for path in bed.whole.rglob("*") if path.is_file()]
    with disk(scratch / "disk", max(LEAST, int(share * sum(sizes)))) as mounted:
        run = scratch / "disk" / "run"
        most = None if mounted else max(LEAST, int(share * max(sizes)))
        first = Forked(small_sweep(bed.model, run), most=most).wait()
        if first.wrong:
            return first.wrong
        if first.code not in (0, 1, 2) or (first.code and not is_one_line(_last(first.said))):
            return f"exit code {first.code}: {first.said[-300:]!r}"
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=1g", str(scratch / "disk")], check=True)
        again = Forked(small_sweep(bed.model, run)).wait()
        if again.code != 0:
            return f"with room, exit code {again.code}: {again.said[-300:]!r}"
        return None if tables(run) == tables(bed.whole) else "with room, other tables"


def _last(said: str) -> str:
    """Return the last line, without what was said of progress before it."""
    return said[said.rfind("introspect: ") :]
