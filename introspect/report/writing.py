"""Writing a report: a file appears whole or not at all. In go findings, out come paths."""

from pathlib import Path

from introspect.errors import InputError
from introspect.report.findings import Findings
from introspect.report.latex import latex_tables
from introspect.report.page import page
from introspect.whole_files import replacing

_NAME = "report.html"


def write_report(found: Findings, out: Path | None = None) -> Path:
    """Write the page, as `report.html` in the run's folder unless a file is named.

    Raises InputError where a folder, or anything else that is no regular file, stands in its place.
    """
    path = found.store.folder / _NAME if out is None else out
    if path.is_dir():
        raise InputError(f"--out {path}: is a folder; give a file, such as {path / _NAME}")
    if path.exists() and not path.is_file():
        raise InputError(f"--out {path}: is no regular file; give one, such as {_NAME}")
    if not path.parent.is_dir():
        raise InputError(f"--out {path}: there is no folder {path.parent}; make it first")
    return _write(path, page(found))


def write_latex(found: Findings) -> list[Path]:
    """Write the tables of the report as `tables/<name>.tex` into the run."""
    folder = found.store.folder / "tables"
    folder.mkdir(exist_ok=True)
    return [_write(folder / f"{name}.tex", text) for name, text in latex_tables(found).items()]


def _write(path: Path, text: str) -> Path:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
    return path
