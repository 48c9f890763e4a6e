"""Which rules lay out the trials of a run: a run keeps those that it was begun with, so that its trials keep their ids.

1: partners of `wrong` point away most, words on offer do not know them, random vectors have a direction per site.
2: partners are drawn (`concepts.partners`) and on offer, one direction serves all loops of a layer.
3: a dose in nats is measured on a reference text, not on the prompt of the trial.
4: tokens are drawn by the Gumbel-max trick, not by inverting the CDF.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from introspect.concepts.partners import BOUND, Cosines, drawn_partners, opposites, unqualified
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.prompts import Template, template_named
from introspect.records.trial import OF_ANOTHER, Arm, Sampling

DESIGN = 4
"""Of a new run."""
REFERENCE = "dose-reference"
"""Template on which a dose in nats is measured."""


def design_of(stored: Mapping[str, Any], default: int, folder: Path) -> int:  # Any: JSON
    """Return the design of a run that is there, else the default. Raises InputError for one that is not known."""
    design: int = stored.get("design", 1) if stored else default
    if design > DESIGN:
        raise InputError(f"{folder}: this run has design {design}, made by a later version; known: 1 to {DESIGN}")
    return design


def reference_of(design: int, options: Options) -> Template | None:
    """Return the template on which the doses of a run are measured; None where they need none."""
    return template_named(REFERENCE) if design > 2 and options.unit() == "kl" else None


def sampling_by(design: int, options: Options) -> Sampling:
    """Return how the answers of a run are drawn."""
    return options.sampling if design > 3 else replace(options.sampling, draws="inverse-cdf")


def partners_by(design: int, options: Options, vectors: ConceptVectors) -> dict[Arm, dict[str, str]]:
    """Return whose vectors the arms `wrong` and `opposite` inject, of those that are run."""
    arms = [arm for arm in OF_ANOTHER if arm in options.chosen_arms()]
    if not arms:
        return {}
    if design == 1:
        cosines = vectors.mean_cosines().numpy()
        return {arm: opposites(vectors.words, cosines) for arm in arms}
    words, among = _among(options, vectors)
    drawn = drawn_partners(words, among, categories=_categories(options), seed=options.seed)
    return {arm: drawn if arm == "wrong" else opposites(words, among) for arm in arms}


def unmatched_said(design: int, options: Options, vectors: ConceptVectors) -> str | None:
    """Return the line on partners of `wrong` that are too like their concepts; None where all qualify, or none are."""
    if design == 1 or "wrong" not in options.chosen_arms():
        return None
    partners = partners_by(design, options, vectors)["wrong"]
    lacking = unqualified(*_among(options, vectors), partners, categories=_categories(options))
    if not lacking:
        return None
    return (
        f"arm wrong: these concepts allow no matching of partners of another category with |cosine| below {BOUND}; "
        f"{len(lacking)} of {len(partners)} partners do not qualify ({', '.join(lacking[:5])}"
        f"{', ...' if len(lacking) > 5 else ''}), so that wrong may be half right for them"
    )


def _among(options: Options, vectors: ConceptVectors) -> tuple[tuple[str, ...], Cosines]:
    """Return the words of the sweep, and the cosines of their vectors."""
    words = options.words()
    rows = [vectors.words.index(word) for word in words]
    return words, vectors.mean_cosines().numpy()[np.ix_(rows, rows)]


def _categories(options: Options) -> dict[str, str]:
    chosen = options.chosen_concepts()[1]
    return {word: kind for word, kind in zip(chosen.words, chosen.categories, strict=True) if kind}
