"""Every protocol is asked of a real model, a few trials each: complete, with tables, and no error."""

from pathlib import Path

import pytest
from commands import WORDS, check_complete, introspect
from conftest import Model

from introspect.protocols import PROTOCOLS

pytestmark = pytest.mark.real
TEN = ("--concepts", "Dust,Trumpets,Bread,Mirrors,Sugar,Snow,Rubber,Silver,Oceans,Honey")
"""As many concepts as a protocol with distractors needs."""
TINY = ("--layers", "0.5", "--strengths", "2", "--max-new-tokens", "8")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_is_swept_without_an_error(protocol: str, model: Model, tmp_path: Path) -> None:
    run, words = tmp_path / "run", TEN if protocol == "thought-or-text" else WORDS
    check_complete(run, introspect("sweep", *model.named, *words, *TINY, "--protocol", protocol, "--out", run))
