"""Whose vectors the arms `wrong` and `opposite` injected, in a line for each. Takes findings, returns names and texts.

How alike two concepts are is the cosine of their vectors, its mean over all sites, as where partners are drawn; here it
is read with numpy from the run's own file, since a report needs no torch.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from introspect.records.trial import OF_ANOTHER
from introspect.report.findings import Findings
from introspect.report.numbers import counted, number
from introspect.results.figures.style import ARM_LABELS


def partner_lines(found: Findings) -> Iterator[tuple[str, str]]:
    """Yield for each arm that injects another concept's vector how many partners there are, and how alike they are."""
    if found.is_empty:
        return
    pairs = found.trials[["arm", "concept", "partner"]].dropna(subset="partner").drop_duplicates()
    for arm in OF_ANOTHER:
        of_arm = pairs[pairs["arm"] == arm]
        if not of_arm.empty:
            distinct = f"{counted(len(of_arm), 'partner')}, {of_arm['partner'].nunique():,} of them distinct"
            yield f"partners of {ARM_LABELS[arm]}", f"{distinct}; {_cosines_said(found.store.folder, of_arm)}"


def _cosines_said(folder: Path, pairs: pd.DataFrame) -> str:
    """Say the range of the cosines of concepts and partners; that they are missing where the vectors are."""
    found = _mean_cosines(folder, list(zip(pairs["concept"], pairs["partner"], strict=True)))
    if found is None:
        return "their cosines with the concept are missing, as the run's folder has no readable vectors of all"
    low, high = number(float(found.min()), 2), number(float(found.max()), 2)
    return f"cosine of partner and concept, mean over all sites: {low} to {high}"


def _mean_cosines(folder: Path, pairs: list[tuple[str, str]]) -> NDArray[np.float64] | None:
    """Return the cosine of each pair's vectors, its mean over loops and layers; None where a vector cannot be read.

    A vector that is zero counts as at right angles to all others.
    """
    files = list(folder.glob("vectors-*.safetensors"))
    if len(files) != 1:
        return None
    try:
        with safe_open(files[0], framework="numpy") as file:
            rows = {word: row for row, word in enumerate(json.loads(file.metadata()["words"]))}
            values = file.get_tensor("values").astype(np.float64)  # (concept, loop, layer, d_model)
        one, other = ([rows[pair[place]] for pair in pairs] for place in (0, 1))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None
    norms = np.linalg.norm(values, axis=-1, keepdims=True)
    unit = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)
    cosines: NDArray[np.float64] = (unit[one] * unit[other]).sum(-1).mean((1, 2))
    return cosines
