"""The store of a run: trials, responses, grades and errors in `<run>/run.sqlite`, written one transaction per batch.

In go records; out come the records again, or the rows of a query for the tables.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from introspect.errors import InputError
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial
from introspect.results.store import read, schema, write
from introspect.results.store.connection import (
    RUN_FILE,
    StoreError,
    connect,
    errors_explained,
    lock,
    sound,
    transaction,
)
from introspect.results.store.folder import made_ready, refuse_something_else
from introspect.results.store.manifest import read_manifest, refuse_other
from introspect.results.store.schema_version import check_schema, create
from introspect.results.store.soundness import check_rows, check_whole

__all__ = ["Store", "StoreError"]

State = Literal["done", "error"]


class Store:
    """An open run. Close it, or use it as a context manager; one process may hold a run open for writing."""

    def __init__(self, folder: Path, *, write: bool) -> None:
        """Open the database of an existing folder as it is; `open`, `create` and `open_or_create` also check it."""
        self.folder = folder
        self.path, self._writes, self._looked = folder / RUN_FILE, write, False
        self._hashed = True
        with ExitStack() as opened:
            if write:
                opened.callback(lock(folder).close)
            self._database = connect(self.path, write=write)
            opened.callback(self._database.close)
            self._held = opened.pop_all()

    @classmethod
    def create(cls, folder: Path, manifest: dict[str, object]) -> Self:
        """Make a new run in an empty or missing folder. Raises InputError when there is something already."""
        store = cls(made_ready(folder), write=True)
        with store._closed_on_error():
            if store._has_schema():
                raise InputError(f"{folder}: holds a run already; choose another --out")
            create(store._database, store.path, manifest)
        return store

    @classmethod
    def open(cls, folder: Path, *, write: bool = False, hashed: bool = True) -> Self:
        """Open a run that is there; reading works while another process writes. Raises InputError if there is none.

        Without `hashed` the trials are not held against their ids, which takes a minute for a million of them.
        """
        if not (folder / RUN_FILE).is_file() or not (folder / RUN_FILE).stat().st_size:
            raise InputError(f"{folder}: no run here ({RUN_FILE} is missing or empty); name the folder of a sweep")
        store = cls(folder, write=write)
        store._hashed = hashed
        with store._closed_on_error():
            store._check_schema()
        return store

    @classmethod
    def open_or_create(cls, folder: Path, manifest: dict[str, object]) -> Self:
        """Open a run for writing to continue it, or make it. Raises InputError if it is another run or something else.

        A folder in which a creation was killed counts as empty.
        """
        store = cls(made_ready(folder), write=True)
        with store._closed_on_error():
            if store._has_schema():
                store._check_schema()
                refuse_other(store.manifest, manifest, folder)
                with errors_explained(store.path):
                    store._look_at_rows()
            else:
                create(store._database, store.path, manifest)
                store._looked = True
        return store

    @classmethod
    def refuse_other(cls, folder: Path, known: dict[str, object]) -> None:
        """Raise InputError if `open_or_create` will, by the entries of the manifest that are known so far.

        Nothing is made or changed: this is for before a model is loaded.
        """
        refuse_something_else(folder)
        if (folder / RUN_FILE).is_file():
            with cls(folder, write=False) as store:
                if store._has_schema():
                    store._check_schema()
                    there = store.manifest
                    refuse_other({name: there.get(name) for name in known}, known, folder)

    @classmethod
    def manifest_in(cls, folder: Path) -> dict[str, Any]:  # Any: JSON
        """Return the manifest of the run in a folder, before anything is made or changed; empty where there is none."""
        if not (folder / RUN_FILE).is_file():
            return {}
        with cls(folder, write=False) as store:
            if not store._has_schema():
                return {}
            store._check_schema()
            return store.manifest

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Close the file and let go of the lock."""
        self._held.close()

    @property
    def manifest(self) -> dict[str, Any]:  # Any: what the manifest holds is decided by the sweep
        """Return the options the run was made with."""
        ((text,),) = self._read("SELECT manifest FROM run")
        return read_manifest(text, self.path)

    def add(self, answered: Iterable[tuple[Trial, Response]], grades: Iterable[Grade] = ()) -> None:
        """Store a batch, all of it or nothing. A trial stored before must come with the same response, and is skipped.

        Raises StoreError when a trial is there with another response, or when the file cannot be written.
        """
        pairs = list(answered)
        with transaction(self._database, self.path):
            there = write.answered(self._database, [trial.id for trial, _ in pairs])
            known = {trial_id: self.response(trial_id) for trial_id in there}
            write.put_responses(self._database, write.new_of(pairs, known, self.path))
            write.put_grades(self._database, grades)

    def add_errors(self, failed: Iterable[tuple[Trial, str]]) -> None:
        """Store trials that could not be run, with the message; they are not done, and a later `add` clears them."""
        pairs = list(failed)
        with transaction(self._database, self.path):
            for trial_id in write.answered(self._database, [trial.id for trial, _ in pairs]):
                raise StoreError(f"{self.path}: trial {trial_id} has a response, it cannot also have failed")
            write.put_errors(self._database, pairs, datetime.now(UTC).isoformat(timespec="seconds"))

    def put_grades(self, grades: Iterable[Grade]) -> int:
        """Store grades, all or none, replacing those of the same grader, and count them; responses are not touched."""
        with transaction(self._database, self.path):
            return write.put_grades(self._database, grades)

    def check(self) -> None:
        """Verify the whole store: schema, types, every trial's id against its hash, references, SQLite's own checks.

        Raises InputError naming the first thing that is wrong. `select` and a continued run look at the rows as well,
        but not at what costs reading every page of the file.
        """
        with errors_explained(self.path):
            check_whole(self._database, self.path)
            check_rows(self._database, self.path)

    def done_ids(self) -> set[str]:
        """Return the ids of the trials with a response; a million take about 130 MB."""
        return {trial_id for (trial_id,) in self._read(schema.DONE)}

    def count(self, state: State = "done") -> int:
        """Count the trials in a state."""
        ((count,),) = self._read(f"SELECT count(*) FROM {'responses' if state == 'done' else 'errors'}")
        return int(count)

    def trials(self) -> Iterator[Trial]:
        """Yield every trial, in the order in which they were stored."""
        with sound(self.path):
            self._look_at_rows()
            yield from read.trials(self._read)

    def answers(self, *, lacking: tuple[str, str] | None = None) -> Iterator[tuple[Trial, Response]]:
        """Yield every trial with its response, as stored; those that lack a grade by (grader, version) where asked."""
        with sound(self.path):
            self._look_at_rows()
            yield from read.answers(self._read, lacking)

    def trial(self, prefix: str) -> Trial:
        """Find a trial by its id or the beginning of it. Raises InputError when none or several begin so."""
        with sound(self.path):
            found = read.trials_that_begin(self._read, prefix)
        if not found:
            raise InputError(f"{self.folder}: no trial begins with {prefix!r}; see the column trial of the table")
        if len(found) > 1:
            raise InputError(f"{self.folder}: {prefix!r} is ambiguous ({found[0].id}, {found[1].id}); give more of it")
        return found[0]

    def response(self, prefix: str) -> Response:
        """Find the response to a trial. Raises InputError when the trial failed, with the stored message."""
        trial_id = self.trial(prefix).id
        self._look_at_rows(self._number(trial_id))
        with sound(self.path):
            found = read.response(self._read, trial_id)
        if found is None:
            raise InputError(f"{self.folder}: trial {trial_id} has no response, {read.why_not(self._read, trial_id)}")
        return found

    def grades(self, prefix: str) -> list[Grade]:
        """Return the grades of a trial, one a grader, sorted by grader."""
        trial_id = self.trial(prefix).id
        self._look_at_rows(self._number(trial_id))
        with sound(self.path):
            return read.grades(self._read, trial_id)

    def select(self, sql: str, *values: schema.Value) -> Iterator[Any]:  # Any: a row's types depend on the SQL
        """Yield the rows of a query one by one; for the tables, whose queries are in `queries`.

        Before the first one all rows are looked at, since a query sees columns and not records.
        """
        with errors_explained(self.path):
            self._look_at_rows()
            yield from self._database.execute(sql, values)

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _look_at_rows(self, trial: int | None = None) -> None:
        """Check once what was there when the store was opened, or the rows of one trial; what is added is our own."""
        if not self._looked:
            check_rows(self._database, self.path, trial, hashed=self._hashed)
            self._looked = trial is None

    def _has_schema(self) -> bool:
        return bool(self._read("SELECT 1 FROM sqlite_master LIMIT 1"))

    def _check_schema(self) -> None:
        check_schema(self._database, self.path, write=self._writes)
        _ = self.manifest  # read once, so that a damaged one is refused before anything else happens

    def _number(self, trial_id: str) -> int:
        ((number,),) = self._read(f"SELECT {schema.NUMBER}", trial_id)
        return int(number)

    def _read(self, sql: str, *values: schema.Value) -> list[Any]:  # Any: a row's types depend on the SQL
        with errors_explained(self.path):
            return self._database.execute(sql, values).fetchall()
