"""Makers for tests of whole sweeps: small options, and a sweep without its figures, which take longest."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from transformers.utils import logging

from introspect.experiment.laboratory import open_laboratory
from introspect.experiment.options import Options
from introspect.experiment.sweep import run_trials
from introspect.models.looped_model import LoopedModel
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import write_tables

SMALL: dict[str, Any] = {
    "concepts": "dust,snow",
    "strengths": "2,4",
    "layers": "0",
    "max_new_tokens": 4,
    "batch_size": 2,
}
"""2 concepts at 3 sites of the tiny model and 2 strengths, in blocks of 8. The question of noticing: 12 trials in each
of the arms injected, random and wrong, 2 of the arm none. Two plain questions: each 12 injected, 12 random, 2 none."""
TOTAL = 38 + 2 * 26
OLD_NAMES = {"strength_unit": "dose", "n_loops": "total_loops", "extract_loops": "extract"}
"""Entries of a manifest, by what runs called them before; `vector` was the dose `raw`."""


def options(model: Path | str, out: Path, **changes: Any) -> Options:
    """Make small options for the tiny model."""
    return Options(**{"model": str(model), "out": out, **SMALL, **changes})


def run_without_figures(asked: Options, report: Callable[[int, int], None] = lambda *_: None) -> Path:
    """Run the trials that are missing and write the tables."""
    laboratory = open_laboratory(asked)
    with Store.open_or_create(asked.folder, laboratory.manifest()) as store:
        run_trials(laboratory, laboratory.vectors(asked.folder), store, report)
        write_tables(store)
    return asked.folder


def under_old_names(folder: Path) -> Path:
    """Write the manifest of a run as it was written when options had their old names."""
    with closing(sqlite3.connect(folder / "run.sqlite")) as database, database:
        ((text,),) = database.execute("SELECT manifest FROM run")
        entries = {OLD_NAMES.get(name, name): value for name, value in json.loads(text).items()}
        assert set(OLD_NAMES.values()) < entries.keys(), entries
        entries["dose"] = {"vector": "raw"}.get(entries["dose"], entries["dose"])
        database.execute("UPDATE run SET manifest = ?", [json.dumps(entries)])
    return folder


def tables(folder: Path) -> dict[str, str]:
    """Read the tables of a run as the text of their files."""
    return {path.name: path.read_text() for path in sorted((folder / "tables").glob("*.csv"))}


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def save_quietly(looped: LoopedModel, folder: Path) -> Path:
    """Save a model and its tokenizer as a folder that can be loaded."""
    logging.disable_progress_bar()
    looped.model.save_pretrained(folder)
    looped.tokenizer.save_pretrained(folder)
    logging.enable_progress_bar()
    return folder
