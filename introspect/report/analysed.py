"""The analyses in a run's folder, as the report shows them. In goes the folder, out come sentences and pictures."""

import base64
from dataclasses import dataclass
from pathlib import Path

from matplotlib.image import imread

from introspect.analyses.analysis import Analysed, analyses_of
from introspect.errors import InputError
from introspect.report.images import PIXELS, Picture
from introspect.report.sheets import Sheet, sheet
from introspect.results.store.csv_files import DPI


@dataclass(frozen=True)
class _Shown:
    """One analysis."""

    name: str
    title: str
    sentences: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    pictures: tuple[Picture, ...]
    sheets: tuple[Sheet, ...]
    pages: tuple[tuple[str, str], ...]
    """What each interactive page shows, and its address from the run's folder."""


def analyses_shown(run: Path) -> list[_Shown]:
    """Read the analyses of a run. Raises InputError for one that is damaged."""
    return [_shown(one, run) for one in analyses_of(run)]


def _shown(one: Analysed, run: Path) -> _Shown:
    said, folder, place = one.said, one.folder, one.folder.relative_to(run).as_posix()
    return _Shown(
        name=said["name"],
        title=said["title"],
        sentences=tuple(said["sentences"]),
        settings=tuple((name, str(value)) for name, value in said["made_with"].items()),
        pictures=tuple(_picture(folder / "figures" / f"{name}.png", title) for name, title in said["figures"].items()),
        sheets=tuple(sheet(name, title, one.table(name)) for name, title in said["tables"].items()),
        pages=tuple((title, f"{place}/{name}.html") for name, title in said["pages"].items()),
    )


def _picture(path: Path, title: str) -> Picture:
    try:
        content, width = path.read_bytes(), imread(path).shape[1]
    except (OSError, SyntaxError, ValueError) as error:  # Pillow says SyntaxError of a damaged PNG
        raise InputError(f"{path}: cannot be read as a picture ({error}); run the analysis again") from None
    uri = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    return Picture(title, uri, round(width / DPI * PIXELS), aside=False)
