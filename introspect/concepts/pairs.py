"""Prompt pairs: for a concept, prompts that are about it and prompts that are alike but for it.

Goes in: a CSV file with the columns concept,positive,negative. Comes out: the pairs of each concept.
"""

from dataclasses import dataclass
from pathlib import Path

from introspect.concepts.rows import read_table
from introspect.concepts.sets import unknown_concept

_COLUMNS = ("concept", "positive", "negative")
SHIPPED_PAIRS = ("pairs",)


@dataclass(frozen=True)
class Pair:
    """Two prompts that differ in the concept."""

    concept: str
    positive: str
    negative: str


@dataclass(frozen=True)
class PromptPairs:
    """The pairs of some concepts."""

    name: str
    pairs: tuple[Pair, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """List the concepts, each once, in the order of the file."""
        return tuple({pair.concept.casefold(): pair.concept for pair in reversed(self.pairs)}.values())[::-1]

    def of(self, concept: str) -> list[Pair]:
        """Return the pairs of one concept, whatever its case; InputError if there is none."""
        found = [pair for pair in self.pairs if pair.concept.casefold() == concept.casefold()]
        if not found:
            raise unknown_concept(concept, self.words, f"prompt pairs {self.name!r}")
        return found


def load_pairs(name_or_path: str | Path) -> PromptPairs:
    """Load the shipped pairs by their name, or a CSV file (a path, or a name that ends in .csv)."""
    table = read_table(name_or_path, _COLUMNS, kind="prompt pairs", shipped=SHIPPED_PAIRS)
    for row in table.rows:
        if row.fields["positive"] == row.fields["negative"]:
            raise table.error(row, "positive and negative prompt are the same")
    return PromptPairs(table.name, tuple(_pair(row.fields) for row in table.rows))


def _pair(fields: dict[str, str]) -> Pair:
    return Pair(*(fields[column] for column in _COLUMNS))
