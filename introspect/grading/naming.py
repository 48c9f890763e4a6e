"""Where a text names a concept: the concept word in singular, plural, possessive and any case, whole words only.

Words of the same family count as other words: "microphones" and "telephones" are not "phones", "volcanology" is not
"volcanoes", and of "Laughing" only "laughing" itself counts. A mention that is denied ("not about bread") is left out.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING
from unittest.mock import patch

from introspect.grading.plurals import NO_PLURALS
from introspect.letters import spelled_out

if TYPE_CHECKING:
    from inflect import engine

_DENIED = re.compile(
    r"(?:(?:\bnot|n't)(?! (?:only|just|stop|help|shake|ignore|deny)\b)(?: \w+){0,2}|\bno|"
    r"\bnothing(?: \w+){0,2}|\brather than|\binstead of|\bother than"
    r"|\bunrelated to|\bwithout)(?: (?:about|of|to|with|on|like|the|a|an|any|word|concept|idea|thought)){0,4} $",
    re.IGNORECASE,
)
"""What stands directly before a mention that is denied."""


def mentions(concept: str, text: str) -> Iterator[re.Match[str]]:
    """Return the places where `text`, spelled out, names `concept` and does not deny it, in order."""
    return (
        found
        for found in pattern(concept).finditer(text)
        if not _DENIED.search(text, max(0, found.start() - 80), found.start())
    )


@cache
def pattern(concept: str) -> re.Pattern[str]:
    """Make the pattern that finds a concept: every form of it, between the borders of words."""
    words = "|".join(re.escape(form).replace(r"\ ", r"\s+") for form in sorted(forms(concept), key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{words})(?:'s|')?(?![^\W_])", re.IGNORECASE)


@cache
def forms(concept: str) -> frozenset[str]:
    """List a concept's singular and plurals (volcanoes, volcanos) in lower case, without an article before it."""
    word = re.sub(r"^(?:the|an?) ", "", " ".join(spelled_out(concept).lower().split()))
    if word.rpartition(" ")[2] in NO_PLURALS:
        return frozenset({word})
    singular = str(_engine().singular_noun(word) or word)
    plain = {f"{singular}s"} if singular.endswith("o") else set()
    return frozenset({word, singular, str(_engine().plural_noun(singular))} | plain)


@cache
def _engine() -> "engine":
    # Imported here, since tables and the command line need neither. typeguard rewrites every method of inflect to check
    # the types of its arguments; these are strings, and that takes ten times as long as the rest of the import.
    import typeguard

    with patch.object(typeguard, "typechecked", lambda checked: checked):
        from inflect import engine

    words = engine()
    words.classical(all=True)
    return words
