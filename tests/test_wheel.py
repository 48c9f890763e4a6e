"""The wheel holds the package with all its data, each file once, and nothing else."""

import os
import shutil
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from introspect import __version__

ROOT = Path(__file__).parent.parent
INFO = f"introspect_loops-{__version__}.dist-info"
DATA = {".py", ".j2", ".csv", ".json", ".jinja", ".safetensors", ".md", ".typed"}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build the wheel and list the names of its files."""
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with ZipFile(wheel) as archive:
        return archive.namelist()


def test_every_file_of_the_package_is_in_it_once(names: list[str]) -> None:
    package = ROOT / "introspect"
    there = {str(path.relative_to(ROOT)) for path in package.rglob("*") if path.is_file() and path.suffix in DATA}
    assert sorted(name for name in names if name.startswith("introspect/")) == sorted(there)


@pytest.mark.parametrize(
    "name",
    [
        "prompts/templates/detect.j2",
        "concepts/data/published.csv",
        "concepts/data/organisms.csv",
        "cli/app.py",
        "py.typed",
    ],
)
def test_what_a_sweep_reads_is_in_it(names: list[str], name: str) -> None:
    assert f"introspect/{name}" in names


def test_every_shipped_organism_is_in_it_with_weights_and_tokenizer(names: list[str]) -> None:
    for folder in (ROOT / "introspect/models/organisms").glob("*/"):
        for file in ("config.json", "model.safetensors", "tokenizer.json"):
            assert f"introspect/models/organisms/{folder.name}/{file}" in names


def test_nothing_else_is_in_it(names: list[str]) -> None:
    assert {name.split("/")[0] for name in names} == {"introspect", INFO}


def test_the_command_is_declared(names: list[str]) -> None:
    assert f"{INFO}/entry_points.txt" in names
    assert shutil.which("introspect", path=os.pathsep.join([str(Path(sys.executable).parent)])) is not None
