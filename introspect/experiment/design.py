"""Which rules lay out the trials of a run: a run keeps those that it was begun with, so that its trials keep their ids.

1: partners of `wrong` point away most, words on offer do not know them, random vectors have a direction per site.
2: partners are drawn (`concepts.partners`) and on offer, one direction serves all loops of a layer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from introspect.concepts.partners import drawn_partners, opposites
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.records.trial import OF_ANOTHER, Arm

DESIGN = 2
"""Of a new run."""


def design_of(stored: Mapping[str, Any], default: int, folder: Path) -> int:  # Any: JSON
    """Return the design of a run that is there, else the default. Raises InputError for one that is not known."""
    design: int = stored.get("design", 1) if stored else default
    if design > DESIGN:
        raise InputError(f"{folder}: this run has design {design}, made by a later version; known: 1 to {DESIGN}")
    return design


def partners_by(design: int, options: Options, vectors: ConceptVectors) -> dict[Arm, dict[str, str]]:
    """Return whose vectors the arms `wrong` and `opposite` inject, of those that are run."""
    arms = [arm for arm in OF_ANOTHER if arm in options.chosen_arms()]
    if not arms:
        return {}
    cosines = vectors.mean_cosines().numpy()
    if design == 1:
        return {arm: opposites(vectors.words, cosines) for arm in arms}
    words, chosen = options.words(), options.chosen_concepts()[1]
    rows = [vectors.words.index(word) for word in words]
    among = cosines[np.ix_(rows, rows)]
    known = {word: kind for word, kind in zip(chosen.words, chosen.categories, strict=True) if kind}
    drawn = drawn_partners(words, among, categories=known, seed=options.seed)
    return {arm: drawn if arm == "wrong" else opposites(words, among) for arm in arms}
