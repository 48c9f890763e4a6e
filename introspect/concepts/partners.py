"""Whose vector the arms `wrong` and `opposite` inject. Takes cosines of concept vectors, returns a word for each word.

`wrong` asks whether any concept would do: its partners are drawn evenly among concepts that have little to do with one
another, each used once. `opposite` asks what the vector that points away most does.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from introspect.errors import InputError

BOUND = 0.3
"""Absolute cosine below which two vectors are taken to have little to do with each other."""
_NEVER, SAME_CATEGORY, BEYOND = 1e6, 1e3, 1e2
"""Costs that are paid only where no draw goes without: a word for itself, of its own category, beyond the bound."""

Cosines = NDArray[np.float64]


def drawn_partners(
    words: Sequence[str], cosines: Cosines, *, categories: Mapping[str, str] | None = None, seed: int = 0
) -> dict[str, str]:
    """Draw a partner for each word so that each is the partner of one, evenly over all such matchings that qualify.

    A pair qualifies if its absolute cosine is below BOUND and, where both categories are known, these differ. Where no
    matching of such pairs exists, as few pairs as can be do not qualify, and of those the likest are avoided. The
    same words, cosines and seed give the same partners. `cosines` is `(word, word)`. Raises InputError for one word.
    """
    _check(words)
    known = categories or {}
    kinds = np.array([known.get(word, f"\n{place}") for place, word in enumerate(words)])  # unknown: one of its own
    likeness = np.abs(cosines)
    cost = _rng(seed).random(likeness.shape) / len(words)  # all together below the cost of one pair too like
    cost += np.where(likeness < BOUND, 0, BEYOND * (1 + likeness)) + SAME_CATEGORY * (kinds[:, None] == kinds)
    np.fill_diagonal(cost, _NEVER)
    return {words[row]: words[column] for row, column in zip(*linear_sum_assignment(cost), strict=True)}


def unqualified(
    words: Sequence[str], cosines: Cosines, partners: Mapping[str, str], *, categories: Mapping[str, str] | None = None
) -> list[str]:
    """Return the words whose partner is of their own category, or whose cosine with it is not below BOUND.

    There are none where `drawn_partners` found a matching of pairs that qualify.
    """
    known, place = categories or {}, {word: row for row, word in enumerate(words)}
    found = []
    for word, partner in partners.items():
        alike = abs(cosines[place[word], place[partner]]) >= BOUND
        if alike or (word in known and known.get(word) == known.get(partner)):
            found.append(word)
    return found


def opposites(words: Sequence[str], cosines: Cosines) -> dict[str, str]:
    """Return for each word the one whose vector has the least cosine with its own. Raises InputError for one word."""
    _check(words)
    likeness = np.array(cosines, dtype=float)
    np.fill_diagonal(likeness, np.inf)
    return {word: words[place] for word, place in zip(words, likeness.argmin(axis=1).tolist(), strict=True)}


def _check(words: Sequence[str]) -> None:
    if len(words) < 2:
        raise InputError(f"{len(words)} concepts: the arm wrong needs at least 2, to inject another one")


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"partners\n{seed}".encode()).digest()[:8], "big"))
