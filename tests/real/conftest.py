"""The real models: SmolLM2 as it is and with a loop axis, and Gemma 3 as a base model; files that are fetched once."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import FRAMED, introspect
from fetch import fetched

LOOPED = ("--loop-layers", "10-19", "--n-loops", "2")
HERE = Path(__file__).parent
FILES = HERE.parents[1] / "build" / "real"
"""Where `make real` keeps what it has fetched; no part of the repository."""


@dataclass(frozen=True)
class Model:
    """A real model as it is named on a command line."""

    path: Path
    more: tuple[str, ...] = ()
    """Options that make another model of the file."""

    @property
    def named(self) -> tuple[object, ...]:
        """Return the model and its options."""
        return self.path, *self.more


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """Return the file of SmolLM2-135M-Instruct."""
    return fetched("smollm2", FILES)


@pytest.fixture(scope="session")
def gemma() -> Path:
    """Return the file of Gemma 3 270M, a base model without chat template."""
    return fetched("gemma3", FILES)


KINDS = [pytest.param((), id="plain"), pytest.param(LOOPED, id="looped")]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let one process run all tests that read one sweep, so that it is swept once."""
    if isinstance(item, pytest.Function) and item.path.parent == HERE and "swept" in item.fixturenames:
        item.add_marker(pytest.mark.xdist_group(item.callspec.id))


@pytest.fixture(scope="session", params=KINDS)
def model(request: pytest.FixtureRequest, smollm2: Path) -> Model:
    """Return SmolLM2, as it is and looped."""
    return Model(smollm2, request.param)


@pytest.fixture(scope="session")
def swept(model: Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the run of a sweep of `detect` with three framings, and what the command said."""
    folder = tmp_path_factory.mktemp("runs") / "detect"
    return folder, introspect("sweep", *model.named, *FRAMED, "--out", folder)
