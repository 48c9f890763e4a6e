"""Every protocol is asked of a real model, a few trials each: complete, with tables, and no error."""

from pathlib import Path

import pytest
from commands import FIVE, TEN, THREE, check_complete, introspect
from conftest import Model

from introspect.protocols import PROTOCOLS

pytestmark = pytest.mark.real
NEEDED = {"choose": FIVE, "thought-or-text": (*TEN, "--arms", "injected,none")}
"""As many concepts as these protocols need."""
TINY = ("--layers", "0.5", "--strengths", "2", "--max-new-tokens", "8")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_is_swept_without_an_error(protocol: str, model: Model, tmp_path: Path) -> None:
    run, words = tmp_path / "run", NEEDED.get(protocol, THREE)
    loops = "all" if protocol in ("detect", "which-loop") else "0"
    asked = (*words, *TINY, "--loops", loops, "--protocol", protocol)
    check_complete(run, introspect("sweep", *model.named, *asked, "--out", run))
