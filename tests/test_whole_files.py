"""A file appears whole or not at all, and what a killed process left of one is gone when it is written again."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from introspect.results.store import csv_files
from introspect.results.store.csv_files import write_figure
from introspect.whole_files import HERE, replacing

KILLED = """
import os, sys
from pathlib import Path
from introspect.whole_files import replacing
with replacing(Path(sys.argv[1])) as part:
    part.write_text("half")
    os.kill(os.getpid(), 9)
"""


def write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text)


def test_what_a_killed_process_left_is_swept_when_its_file_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write(path, "old")
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    assert path.read_text() == "old"
    write(path, "new")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"table.csv": "new"}


def test_files_of_processes_that_run_or_of_other_machines_or_of_other_files_stay(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    kept = [
        f".table.csv.{HERE}.{os.getppid()}",
        f".table.csv.{HERE}x.1",
        f".other.csv.{HERE}.999999999",
        ".table.csv.9",
    ]
    for name in kept:
        (tmp_path / name).write_text("another's")
    write(path, "new")
    assert {file.name for file in tmp_path.iterdir()} == {*kept, "table.csv"}


@pytest.mark.usefixtures("published_figures")
@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_a_full_disk_under_a_figure_is_named_and_leaves_nothing(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/dev/full` would do, but only for files that are not renamed: so the disk is full for this suffix."""
    write_bytes = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if f".{suffix}." in path.name:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    figure = plt.figure()
    with pytest.raises(OSError, match="No space left on device"):
        write_figure(tmp_path, "f", figure)
    plt.close(figure)
    assert not list((tmp_path / "figures").glob(f"*{suffix}*"))


def test_a_figure_reaches_the_disk_as_bytes_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matplotlib itself writes to memory: its writer of PDF, stopped half way, hides why."""
    written: list[object] = []
    figure = plt.figure()
    monkeypatch.setattr(figure, "savefig", lambda file, **_: written.append(file))
    csv_files.write_figure(tmp_path, "f", figure)
    plt.close(figure)
    assert {type(each) for each in written} == {io.BytesIO}
