"""Concept sets: the words that may be injected and those that make the baseline, each with a category and a split.

Goes in: a CSV file with the columns word,category,split. Comes out: a ConceptSet, or what was chosen from it.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from introspect.concepts.rows import SUFFIX, read_table
from introspect.errors import InputError
from introspect.letters import one_spelling
from introspect.selection import shown

_COLUMNS = ("word", "category", "split")
SHIPPED_SETS = ("organisms", "published", "categories")
BASELINE = "baseline"
SPLITS = ("concept", "trained", "held-out", BASELINE)
"""`concept`: to be injected. `trained`, `held-out`: the same, injected in an organism's training or not."""


@dataclass(frozen=True)
class ConceptSet:
    """Concept words in the order of their file; upper and lower case do not tell two words apart."""

    name: str
    words: tuple[str, ...]
    categories: tuple[str, ...]
    """Category of each word."""
    splits: tuple[str, ...]
    """Split of each word."""

    def in_splits(self, *splits: str) -> "ConceptSet":
        """Return the words of these splits."""
        return self._take([i for i, split in enumerate(self.splits) if split in splits])

    def only(self, words: Sequence[str]) -> "ConceptSet":
        """Return these words, in the order of the set; InputError for one that is not in it."""
        index, words = {word.casefold(): i for i, word in enumerate(self.words)}, list(map(one_spelling, words))
        for word in words:
            if word.casefold() not in index:
                raise unknown_concept(word, self.words, f"set {self.name!r}", sets=_shipped_with(word))
        return self._take(sorted({index[word.casefold()] for word in words}))

    @property
    def baseline(self) -> "ConceptSet":
        """Return the words that make the baseline mean."""
        return self.in_splits(BASELINE)

    def _take(self, rows: Sequence[int]) -> "ConceptSet":
        picked = ((column[i] for i in rows) for column in (self.words, self.categories, self.splits))
        words, categories, splits = map(tuple, picked)
        return ConceptSet(self.name, words, categories, splits)


def load_concepts(name_or_path: str | Path) -> ConceptSet:
    """Load a shipped set by its name, or a CSV file (a path, or a name that ends in .csv)."""
    return _shipped(str(name_or_path)) if name_or_path in SHIPPED_SETS else _read(name_or_path)


@cache
def _shipped(name: str) -> ConceptSet:
    return _read(name)


def _read(name_or_path: str | Path) -> ConceptSet:
    table = read_table(name_or_path, _COLUMNS, kind="concept set", shipped=SHIPPED_SETS)
    seen: dict[str, int] = {}
    for row in table.rows:
        word, split = row.fields["word"], row.fields["split"]
        if word.casefold() in seen:
            raise table.error(row, f"word {word!r} stands in line {seen[word.casefold()]} already")
        if split not in SPLITS:
            raise table.error(row, f"unknown split {split!r}; known: {', '.join(SPLITS)}")
        seen[word.casefold()] = row.line
    words, categories, splits = (tuple(row.fields[column] for row in table.rows) for column in _COLUMNS)
    return ConceptSet(table.name, words, categories, splits)


def choose(concepts: ConceptSet, spec: str) -> ConceptSet:
    """Choose from a set by items between commas: `all` (every word outside the baseline), a split, or a word.

    A word that holds a comma stands in quotes: `"Paris, Texas",snow`.
    """
    chosen: list[str] = []
    for item in between_commas(spec):
        splits = [split for split in SPLITS if split != BASELINE] if item == "all" else [item]
        if item not in ("all", *SPLITS):
            chosen += concepts.only([item]).words
        elif found := concepts.in_splits(*splits).words:
            chosen += found
        else:
            has = ", ".join(sorted(set(concepts.splits)))
            raise InputError(f"concepts {item!r}: set {concepts.name!r} has no such words; its splits: {has}")
    return concepts.only(chosen)


def between_commas(text: str) -> list[str]:
    """Take apart what stands between commas; what is in quotes holds commas of its own. Raises InputError."""
    try:
        found = [each for row in csv.reader([text], skipinitialspace=True, strict=True) for each in row]
    except csv.Error:
        raise InputError(f"concepts {shown(text)}: a quotation mark is not closed, or stands inside a word") from None
    return [each.strip() for each in found]


def read_choice(text: str, *, default: str) -> tuple[ConceptSet, ConceptSet]:
    """Read SET, SET:ITEMS, or ITEMS of the default set, as after --concepts; give the set, and what is chosen of it.

    Examples: `published`, `organisms:held-out`, `mine.csv:dust,snow`, `dust,snow`.
    """
    if not text.strip(" ,"):
        raise InputError(f"concepts {text!r}: the list is empty; write a set, such as {default}, or words of it")
    name, colon, spec = text.rpartition(":")
    if text in SHIPPED_SETS or text.endswith(SUFFIX):  # a path may hold a colon itself, as C:\\mine.csv does
        name, spec = text, "all"
    elif not colon:
        name, spec = default, text
    concepts = load_concepts(name)
    return concepts, choose(concepts, spec)


def unknown_concept(word: str, known: Sequence[str], where: str, *, sets: Sequence[str] = ()) -> InputError:
    """Make the error for a word that is not among the known ones, with the set that has it, or the nearest of them."""
    folded = {other.casefold(): other for other in known}
    near = [folded[match] for match in get_close_matches(word.casefold(), folded, n=3, cutoff=0.5)]
    hint = f"it has {len(known)} words, such as {', '.join(known[:3])}"
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    if sets:
        hint = f"it is a word of the set {sets[0]}: write {sets[0]}:{word}"
    return InputError(f"unknown concept {word!r} in {where}; {hint}")


def _shipped_with(word: str) -> list[str]:
    """Name the shipped sets that have a word."""
    return [name for name in SHIPPED_SETS if word.casefold() in map(str.casefold, load_concepts(name).words)]
