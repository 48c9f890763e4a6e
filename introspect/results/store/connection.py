"""How a run's SQLite file is opened, locked and complained about.

One process writes, any number read meanwhile. The journal is a rollback journal: a write-ahead log would need shared
memory, which network file systems do not have. A batch is on the disk when its transaction ends, so neither a killed
process nor a power cut loses a batch that was reported.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from introspect.errors import InputError

RUN_FILE = "run.sqlite"
LOCK_FILE = "run.lock"
LEFTOVERS = {RUN_FILE, LOCK_FILE, f"{RUN_FILE}-journal"}
"""What a creation that was killed may leave behind; a folder with nothing else counts as empty."""

_PATIENCE = 60.0
"""Seconds to wait for a reader to finish a query, or for the writer to finish a transaction."""

CACHE = 64 * 1024
"""KiB of the file kept in memory: the index of a million ids fits, so that storing does not read it again."""


UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What is raised where a stored value is not what it should be."""


class StoreError(RuntimeError):
    """The run could not be written or read now; what was stored before is whole, and the same command continues."""


@contextmanager
def errors_explained(path: Path) -> Iterator[None]:
    """Turn what SQLite reports about the file into one line that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _explanation(path, error) from error


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Turn what making records from stored rows raises into one line that names the file."""
    try:
        with errors_explained(path):
            yield
    except InputError:
        raise
    except UNREADABLE as error:
        said = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path}: a stored row cannot be read ({said}); `introspect show RUN --check` says more"
        ) from error


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the database; without `write` every change is refused.

    A reader opens it for writing too and then forswears it, since after a killed writer the first to open the file has
    to roll the half-written batch back. A file that may not be written is opened for reading by SQLite itself.
    """
    uri = f"file:{quote(str(path.absolute()))}?mode={'rwc' if write else 'rw'}"
    with errors_explained(path):
        connection = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{CACHE}")
            connection.execute(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
    return connection


def lock(folder: Path) -> sqlite3.Connection:
    """Become the only writer of the run until the connection is closed or the process ends, however it ends.

    The lock is an exclusive transaction on an empty database of its own, so that readers of the run are not locked out.
    """
    with errors_explained(folder / LOCK_FILE):
        holder = sqlite3.connect(folder / LOCK_FILE, timeout=0, isolation_level=None)
        try:
            holder.execute("PRAGMA journal_mode = MEMORY")  # nothing is ever written, so no file is needed either
            holder.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            holder.close()
            if error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise InputError(
                    f"{folder}: another process is writing this run; wait for it to end or choose another --out"
                ) from None
            raise
    return holder


def read_through(connection: sqlite3.Connection, view: str) -> None:
    """Make a temporary view on a connection that may not change anything else."""
    (forsworn,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = OFF")
    connection.execute(view)
    connection.execute(f"PRAGMA query_only = {forsworn}")


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Do everything inside or nothing of it."""
    with errors_explained(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite itself rolls back when the disk is full
                connection.execute("ROLLBACK")
            raise


def _explanation(path: Path, error: sqlite3.DatabaseError) -> Exception:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return StoreError(
            f"{path}: {error}; every batch before this one is stored: make room, and the same command continues the run"
        )
    if name.startswith("SQLITE_BUSY"):
        return StoreError(f"{path}: another process kept it locked for {_PATIENCE:.0f} s; try again")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return InputError(f"{path}: damaged or not a run of introspect ({error}); restore it or choose another folder")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return InputError(f"{path}: cannot be opened for this ({error}); check that it exists and its permissions")
    if "decode to UTF-8" in str(error) or name == "SQLITE_ERROR":
        return InputError(f"{path}: damaged or written by something else ({str(error)[:200]}); restore it")
    return error
