"""How many answers echo their prompt, and how many are nothing but thinking. In goes a store, out come tables, a line.

An answer echoes its prompt where the two share a run of LONG words or more, or one of SHORT words that is half of the
answer: it then repeats what we said to it, or put into its mouth, and a claim in it is no report.
"""

import pandas as pd

from introspect.prompts.echo import LONG, SHORT
from introspect.protocols import gates, questions_of
from introspect.results.statistics import clustered_rates
from introspect.results.store.store import Store

_WORDS = "(1 + length(trim(text)) - length(replace(trim(text), ' ', '')))"
"""How many words a text has, as far as spaces tell."""
ECHOES = f"""SELECT cell, concept, count(*),
    sum(echo >= {LONG} OR (echo >= {SHORT} AND 2 * echo >= {_WORDS})), avg(echo)
    FROM responses JOIN trials USING (n) WHERE echo IS NOT NULL AND trim(text) != '' GROUP BY cell, concept"""
_UNENDED = """SELECT count(*), sum(finish_reason = 'length' AND thinking != '' AND trim(text, char(9, 10, 32)) = '')
    FROM responses"""
_KEYS = ["question", "template", "arm", "n_loops"]
MANY = 0.1
"""Share of answers that end inside their thinking from which on it is said."""


def echo_table(store: Store, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the share of answers that echo their prompt, per question, wording, arm and number of loops.

    With an interval over concepts (`clustered_rates`); `words` is the mean length of the longest shared run.
    Questions in which a line is to be repeated are left out. Empty where it was not counted, as in older runs.
    """
    found = pd.DataFrame(store.select(ECHOES), columns=["cell", "concept", "n", "echoes", "words"])
    found = found.join(cells[[*_KEYS, "protocol"]], on="cell")
    found = found[~found["question"].isin(questions_of("repeating"))]
    if found.empty:
        return pd.DataFrame()
    found = found.assign(words=found["words"] * found["n"])
    summed = found.groupby(_KEYS, sort=False)[["n", "echoes", "words"]].sum()
    by_concept = found.groupby([*_KEYS, "concept"])[["echoes", "n"]].sum().unstack("concept", fill_value=0)
    low, high, *_ = clustered_rates(*(by_concept[name].reindex(summed.index) for name in ("echoes", "n")))
    share, words = summed["echoes"] / summed["n"], summed["words"] / summed["n"]
    return summed[["n", "echoes"]].assign(share=share, low=low, high=high, words=words).reset_index()


def with_echoes(capability: pd.DataFrame, echoes: pd.DataFrame) -> pd.DataFrame:
    """Add to the capability gate the share of answers that echo their prompt, of all wordings with nothing injected.

    Plain questions are left out, since their answers are words of the question. NaN where nothing was counted.
    """
    if capability.empty or echoes.empty:
        return capability
    asked = echoes[(echoes["arm"] == "none") & ~echoes["question"].isin(gates())]
    summed = asked.groupby("n_loops")[["n", "echoes"]].sum()
    return capability.assign(echo=capability["n_loops"].map(summed["echoes"] / summed["n"]))


def unended_said(store: Store) -> str | None:
    """Return the line on answers that end inside their thinking, None where those are few."""
    ((answers, unended),) = store.select(_UNENDED)
    if not answers or not unended / answers > MANY:
        return None
    return (
        f"{unended} of {answers} answers end inside their thinking, at the most tokens allowed, so that nothing is "
        "known of them: allow more with --max-new-tokens"
    )
