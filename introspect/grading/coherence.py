"""Whether an answer can be read: not empty, not a loop, not a heap of symbols or of scripts.

The rules see damage, not nonsense: a fluent sentence without meaning counts as coherent.
"""

import re
import unicodedata
from dataclasses import dataclass

MIN_WORD_SHARE = 0.6
"""Least share of the pieces between spaces that look like words."""
MAX_SCRIPTS = 2
"""Most writing systems in one answer; soups of damaged models mix three and more."""
_LONGEST_PERIOD = 20
"""Longest phrase, in words, whose repetition is looked for."""

_WORD = re.compile(r"[\W_]*(?:\d{1,4}|(?:[^\W\d_]+[-'/&.])*[^\W\d_]+)[\W_]{0,6}")
_TOKEN = re.compile(r"\[[A-Z]+\]|##\w|<\|")
_STAMMER = re.compile(r"([^\W_]{1,12}?)\1{4,}", re.IGNORECASE)
_CONSONANTS = re.compile(r"(?<![a-z])(?:[b-df-hj-np-tv-xz]{2,}|[a-z]*[b-df-hj-np-tv-xz]{6,}[a-z]*)(?![a-z])", re.I)
_ABBREVIATIONS = frozenset({"mr", "mrs", "dr", "st", "vs", "tv", "hmm", "hm", "mm", "mhm", "shh", "pm", "llm", "nlp"})


@dataclass(frozen=True)
class Coherence:
    """A verdict on readability; `loop` tells a readable text that repeats itself from one that is garbled."""

    verdict: bool | None
    loop: bool
    why: str


def coherence(text: str) -> Coherence:
    """Judge an answer: False for nothing, loops and garble, None for less than two letters, else True."""
    if not text.strip():
        return Coherence(False, False, "the answer is empty")
    if why := _garbled(text):
        return Coherence(False, False, why)
    if why := _loops(text):
        return Coherence(False, True, why)
    if sum(character.isalpha() for character in text) < 2:
        return Coherence(None, False, "too short to judge")
    return Coherence(True, False, "it can be read")


def _garbled(text: str) -> str | None:
    pieces = text.split()
    words = [piece for piece in pieces if _looks_like_a_word(piece)]
    if len(words) < MIN_WORD_SHARE * len(pieces):
        return f"only {len(words)} of {len(pieces)} pieces look like words"
    scripts = {unicodedata.name(character, "?").split()[0] for character in text if character.isalpha()}
    if len(scripts) > MAX_SCRIPTS:
        return f"it mixes the scripts {', '.join(sorted(scripts)).lower()}"
    return None


def _looks_like_a_word(piece: str) -> bool:
    if re.fullmatch(r"[-*#>_.:=|]+|[&+]", piece):
        return True  # the marks of Markdown, dashes and ellipses stand between words in readable text
    if not _WORD.fullmatch(piece) or _TOKEN.search(piece) or len(piece) > 30:
        return False
    return all(found[0].lower() in _ABBREVIATIONS for found in _CONSONANTS.finditer(piece.replace("'", "")))


def _loops(text: str) -> str | None:
    """Find a phrase that stands at least three times in a row (a single word: four), or a word drawn out."""
    if found := _STAMMER.search(text):
        return f"it repeats “{found[1]}” within a word"
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.lower())
    for period in range(1, _LONGEST_PERIOD + 1):
        run = 0
        for i in range(period, len(words)):
            run = run + 1 if words[i] == words[i - period] else 0
            if run >= max(3, 2 * period):
                return f"it repeats “{' '.join(words[i - period + 1 : i + 1])}”"
    return None
