"""Which schema a database has: a new one gets ours, an older one is brought up to date, a foreign one is refused."""

import json
import sqlite3
from pathlib import Path

from introspect.errors import InputError
from introspect.results.store import schema
from introspect.results.store.connection import errors_explained, read_through, transaction
from introspect.results.store.soundness import check_shape


def create(database: sqlite3.Connection, path: Path, manifest: dict[str, object]) -> None:
    """Make the tables of a run in an empty database."""
    text = json.dumps(manifest, allow_nan=False)
    with transaction(database, path):
        for table in schema.SCHEMA:
            database.execute(table)
        database.execute(schema.INSERT_RUN, (schema.SCHEMA_VERSION, text))


def check_schema(database: sqlite3.Connection, path: Path, *, write: bool) -> None:
    """Raise InputError for what is no run, or one of a version that is not known; bring one before ours up to date."""
    with errors_explained(path):
        if not database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'run'").fetchall():
            raise InputError(f"{path}: is not a run of introspect; choose another folder")
        rows = database.execute("SELECT schema_version FROM run LIMIT 2").fetchall()
    if len(rows) != 1:
        many = "several rows" if rows else "no row"
        raise InputError(f"{path}: table 'run' has {many} and should have one; restore the file")
    ((version,),) = rows
    if version == schema.BEFORE:
        _bring_up_to_date(database, path, write=write)
    elif version != schema.SCHEMA_VERSION:
        raise InputError(
            f"{path}: has schema version {version}, this introspect reads version {schema.SCHEMA_VERSION}; "
            "use the introspect that wrote it, or choose another --out"
        )
    with errors_explained(path):
        check_shape(database, path)


def _bring_up_to_date(database: sqlite3.Connection, path: Path, *, write: bool) -> None:
    """Add the columns that an older run lacks; who only reads looks at it through a view instead."""
    if not write:
        with errors_explained(path):
            read_through(database, schema.VIEW)
        return
    with transaction(database, path):
        for change in schema.UPDATE:
            database.execute(change)
