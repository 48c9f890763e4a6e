"""Checkpoints of every family, mutated field by field: loading ends in a model or in one line, soon."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from hypothesis import strategies as st

from benchmarks.faults.cases import HungError, drawn, within
from introspect.errors import InputError
from introspect.families.loading import load_model
from introspect.models.looped_model import LoopedModel
from tests.families import FAMILIES
from tests.swept import save_quietly

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
"""Whatever JSON can hold, and Python's NaN and infinities."""
NEAR = st.sampled_from([0, 1, -1, 2, 3, 4, 7, 64, 10**9, 2.5, "3", "", None, True, [], {}, [1], {"rope_type": "nope"}])
"""What one would write by mistake."""
SIMPLEST = 3
SECONDS = 20.0


@dataclass(frozen=True)
class Mutation:
    """A field of a config, and what it holds instead."""

    family: str
    field: str
    value: Any  # JSON


def save_families(folder: Path) -> dict[str, Path]:
    """Save a tiny model of each family, and return the folders by name."""
    return {name: save_quietly(made.make(dtype=torch.float32), folder / name) for name, made in FAMILIES.items()}


def mutations(checkpoints: dict[str, Path], each: int, seed: int) -> Iterator[Mutation]:
    """Yield so many mutations of each field of each config; configs that are alike only once."""
    seen = set()
    for family, folder in checkpoints.items():
        text = (folder / "config.json").read_text()
        if text in seen:
            continue
        seen.add(text)
        for field in sorted(json.loads(text)):
            own = Random(f"{seed} {family} {field}").getrandbits(32)
            values = drawn(NEAR | ANYTHING, each + SIMPLEST, own)[-each:]  # hypothesis begins with the simplest ones
            yield from (Mutation(family, field, value) for value in values)


def tried(mutation: Mutation, checkpoints: dict[str, Path], scratch: Path) -> str | None:
    """Load a mutated checkpoint, and tell what is wrong with how that ends."""
    folder = shutil.copytree(checkpoints[mutation.family], scratch / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {mutation.field: mutation.value}))
    try:
        with within(SECONDS):
            found = load_model(str(folder), device="cpu", **FAMILIES[mutation.family].looped)
    except InputError as refusal:
        return None if "\n" not in str(refusal) else f"more than one line: {str(refusal)[:200]!r}"
    except HungError:
        return f"no end within {SECONDS:g} s"
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        shutil.rmtree(folder)
    return None if isinstance(found, LoopedModel) else f"it gave {type(found).__name__}"
