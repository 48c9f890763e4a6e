"""Analyses: what `monitor`, `dynamics` and `trajectory` leave behind, in a folder of their own or in that of a run.

Goes in: tables, figures and what they say. Comes out: a folder that the report, a notebook and a spreadsheet can read.
`analysis.json` comes last, so that a folder that holds one is whole.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from introspect.errors import InputError
from introspect.results.store.csv_files import write_figure, write_table
from introspect.whole_files import replacing

_FILE = "analysis.json"
FOLDER = "analyses"
"""Folder within that of a run."""


def _text(value: object) -> bool:
    return isinstance(value, str)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _titles(value: object) -> bool:
    """Tell whether these are titles by names of files, which lie in the folder itself."""
    return isinstance(value, dict) and all(_text(title) and Path(name).name == name for name, title in value.items())


ENTRIES: dict[str, Callable[[object], bool]] = {"name": _text, "title": _text, "sentences": _texts}
ENTRIES |= {"made_with": lambda value: isinstance(value, dict)}
ENTRIES |= dict.fromkeys(("tables", "figures", "pages"), _titles)
"""What `analysis.json` must hold, and of which type."""


@dataclass(frozen=True)
class Analysis:
    """What one analysis found."""

    name: str
    """Of the command."""
    title: str
    made_with: Mapping[str, Any]  # Any: plain JSON
    """Model, weights, options: all that decides what came out."""
    sentences: tuple[str, ...]
    """What it says, a plain sentence each, with n and interval."""
    tables: Mapping[str, tuple[str, pd.DataFrame]]
    """By the name of its file: what the table shows, and its rows."""
    figures: Mapping[str, tuple[str, Figure]] = field(default_factory=dict)
    """By the name of its file: what the figure shows, and the figure."""
    pages: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By the name of its file: what the page shows, and its HTML, which needs nothing else."""

    def write(self, folder: str | Path) -> list[Path]:
        """Write everything into a folder, `tables/*.csv` and `figures/*.png` and `.pdf`; give the files."""
        folder = Path(folder)
        paths = [write_table(folder, name, table) for name, (_, table) in self.tables.items()]
        for name, (_, figure) in self.figures.items():
            paths += write_figure(folder, name, figure)
        paths += [_write_text(folder / f"{name}.html", page) for name, (_, page) in self.pages.items()]
        said = {
            "name": self.name,
            "title": self.title,
            "made_with": dict(self.made_with),
            "sentences": list(self.sentences),
            "tables": {name: title for name, (title, _) in self.tables.items()},
            "figures": {name: title for name, (title, _) in self.figures.items()},
            "pages": {name: title for name, (title, _) in self.pages.items()},
        }
        return [*paths, _write_text(folder / _FILE, json.dumps(said, indent=1, allow_nan=False) + "\n")]


@dataclass(frozen=True)
class Analysed:
    """An analysis as it was written."""

    folder: Path
    said: dict[str, Any]
    """What `analysis.json` holds."""

    @classmethod
    def open(cls, folder: Path) -> "Analysed":
        """Open the folder of an analysis. Raises InputError when it holds none."""
        try:
            said = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{folder}: holds no analysis ({_FILE})") from error
        if not isinstance(said, dict):
            raise InputError(f"{folder / _FILE}: is no JSON object; run the analysis again")
        for name, fits in ENTRIES.items():
            if not fits(said.get(name)):
                raise InputError(f"{folder / _FILE}: {name} is missing or of the wrong type; run the analysis again")
        return cls(folder, said)

    def table(self, name: str) -> pd.DataFrame:
        """Read one of its tables."""
        path = self.folder / "tables" / f"{name}.csv"
        try:
            return pd.read_csv(path, keep_default_na=False, na_values=[""])
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error}); run the analysis again") from None


def analyses_of(run: Path) -> list[Analysed]:
    """Open the analyses in the folder of a run, by name."""
    return [Analysed.open(file.parent) for file in sorted((run / FOLDER).glob(f"*/{_FILE}"))]


def _write_text(path: Path, text: str) -> Path:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return path
