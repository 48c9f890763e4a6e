"""How much of an answer is the prompt's own words. In go the two texts, comes out the length of a run of words."""

import re

from introspect.letters import one_spelling

LONG, SHORT = 8, 4
"""Words of a run from which on an answer echoes its prompt, and from which on where the run is half of the answer: what
anyone who answers a question of ours takes from it ("I notice an injected thought") is shorter than the first, and what
a single word on offer takes ("yes", "the second") is shorter than the other."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words(text: str) -> list[str]:
    """Return the words of a text in one spelling: composed, without upper case, punctuation and curly apostrophes."""
    return _WORD.findall(one_spelling(text).replace("\u2019", "'").casefold())


def shared_run(answer: str, prompt: str) -> int:
    """Return the number of words of the longest run that an answer shares with its prompt."""
    said, asked, longest = words(answer), f" {' '.join(words(prompt))} ", 0
    for start in range(len(said)):
        while start + longest < len(said) and f" {' '.join(said[start : start + longest + 1])} " in asked:
            longest += 1
    return longest
