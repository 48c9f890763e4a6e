"""Writing a report: a file appears whole or not at all. In go findings, out come paths."""

import os
from pathlib import Path

from introspect.errors import InputError
from introspect.report.findings import Findings
from introspect.report.latex import latex_tables
from introspect.report.page import page

NAME = "report.html"


def write_report(found: Findings, out: Path | None = None) -> Path:
    """Write the page, as `report.html` in the run's folder unless a file is named. Raises InputError for a folder."""
    path = found.store.folder / NAME if out is None else out
    if path.is_dir():
        raise InputError(f"--out {path}: is a folder; give a file, such as {path / NAME}")
    if not path.parent.is_dir():
        raise InputError(f"--out {path}: there is no folder {path.parent}; make it first")
    return _write(path, page(found))


def write_latex(found: Findings) -> list[Path]:
    """Write the tables of the report as `tables/<name>.tex` into the run."""
    folder = found.store.folder / "tables"
    folder.mkdir(exist_ok=True)
    return [_write(folder / f"{name}.tex", text) for name, text in latex_tables(found).items()]


def _write(path: Path, text: str) -> Path:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
