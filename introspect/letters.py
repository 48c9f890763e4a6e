"""One spelling of a text: the same letters and dashes, however they were put in. Used where concepts are read, and
where answers are.
"""

import unicodedata

_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2212\ufe63\uff0d", "-")) | {0xAD: None}
"""Hyphens of all kinds and the minus sign; dashes between clauses stay what they are, a soft hyphen is none."""


def one_spelling(text: str) -> str:
    """Return a text with composed letters and the plain hyphen; upper and lower case stay."""
    return unicodedata.normalize("NFC", text).translate(_DASHES)


def spelled_out(text: str) -> str:
    """Return a text in one spelling in which letters that are several in the other case stand as those: \u00df as ss.

    Two words are one, whatever their case, exactly if these are equal up to the case of single letters.
    """
    return "".join(each if len(each.casefold()) == 1 else _several(each) for each in one_spelling(text))


def _several(letter: str) -> str:
    folded = letter.casefold()
    return folded.upper() if letter.isupper() else folded
