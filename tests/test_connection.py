"""What happens to a run when its process is killed, its disk is full, or several want it at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from made import fill, new_store, response, trial

from introspect.errors import InputError
from introspect.records.trial import Trial
from introspect.results.store.connection import RUN_FILE
from introspect.results.store.store import Store, StoreError

MANIFEST: dict[str, object] = {"model": "organism:aware", "strengths": [1, 2], "sampling": {"temperature": 1.0}}

WRITER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from made import new_store, response, trial
store = new_store(Path(sys.argv[1]))
for batch in range(10**6):
    trials = [trial(repeat=batch * 10 + row) for row in range(10)]
    store.add([(one, response(one)) for one in trials])
    print(batch, flush=True)
"""


@pytest.fixture
def writer(tmp_path: Path):
    """Start a process that writes batches of ten until it is killed."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "run"), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        yield process
        process.kill()


@pytest.mark.parametrize("content", [b"not a database, " * 1000, b"SQLite format 3\0" + b"\1" * 5000])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RUN_FILE).write_bytes(content)
    for open_it in (Store.open, lambda folder: Store.open_or_create(folder, MANIFEST)):
        with pytest.raises(InputError, match="damaged or not a run"):
            open_it(tmp_path)
    assert (tmp_path / RUN_FILE).read_bytes() == content


def test_damage_in_the_middle_is_said_when_it_is_read(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        fill(store, [trial(repeat=repeat) for repeat in range(200)])
    content = bytearray((tmp_path / RUN_FILE).read_bytes())
    content[20000:-4096] = b"\xff" * (len(content) - 24096)
    (tmp_path / RUN_FILE).write_bytes(content)
    with Store.open(tmp_path) as store, pytest.raises(InputError, match="damaged"):
        list(store.answers())


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    new_store(tmp_path).close()
    with Store.open(tmp_path) as store, pytest.raises(InputError, match="cannot be opened for this"):
        store.add([(trial(), response(trial()))])


def test_a_full_disk_keeps_the_last_batch_and_the_run_goes_on(tmp_path: Path) -> None:
    batches = [[trial(repeat=batch * 50 + row) for row in range(50)] for batch in range(40)]
    with new_store(tmp_path, MANIFEST) as store:
        store._database.execute("PRAGMA max_page_count = 100")
        with pytest.raises(StoreError, match=r"full.*the same command continues"):
            fill_all(store, batches)
        kept = store.count()
        assert kept > 0
        assert kept % 50 == 0
    with Store.open_or_create(tmp_path, MANIFEST) as store:
        assert store.count() == kept
        fill_all(store, batches)
        assert store.count() == 2000


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path: Path, writer: subprocess.Popen[str]) -> None:
    with pytest.raises(InputError, match="another process is writing this run"):
        Store.open(tmp_path / "run", write=True)
    with Store.open(tmp_path / "run") as store:
        seen = [len(list(store.trials())) for _ in range(4)]
    assert writer.poll() is None
    assert seen == sorted(seen)
    assert all(count % 10 == 0 for count in seen)


def test_two_writers_in_one_process_are_refused_too(tmp_path: Path) -> None:
    with new_store(tmp_path), pytest.raises(InputError, match="another process"):
        Store.open(tmp_path, write=True)


def test_killing_the_writer_leaves_whole_batches_and_no_lock(tmp_path: Path, writer: subprocess.Popen[str]) -> None:
    assert writer.stdout is not None
    reported = int([writer.stdout.readline() for _ in range(30)][-1])
    writer.kill()
    writer.wait()
    with Store.open(tmp_path / "run", write=True) as store:
        assert store.count() % 10 == 0
        assert store.count() >= (reported + 1) * 10
        assert all(len(answer.readouts) == 4 for _, answer in store.answers())
        store.add([(trial(repeat=-1), response(trial(repeat=-1)))])


def test_a_reader_mends_what_a_killed_writer_left_half_done(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        fill(store, [trial()])
    torn = (
        f"import os, sqlite3; db = sqlite3.connect({str(tmp_path / RUN_FILE)!r}, isolation_level=None)\n"
        "db.execute('PRAGMA cache_size = 1'); db.execute('BEGIN'); db.execute('DELETE FROM readouts')\n"
        "for n in range(5000): db.execute('INSERT INTO cells (json) VALUES (?)', (str(n) + 'x' * 500,))\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", torn], check=False)
    assert (tmp_path / f"{RUN_FILE}-journal").stat().st_size > 0
    with Store.open(tmp_path) as store:
        assert list(store.trials()) == [trial()]
        assert store.response(trial().id) == response(trial())


def fill_all(store: Store, batches: list[list[Trial]]) -> None:
    for batch in batches:
        fill(store, batch)
