"""Tables as a reader sees them, the same in HTML and LaTeX. In goes a frame, out comes a Sheet of text.

k and n become "k/n", bounds become an interval, measures become columns, columns are named in words.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from introspect.report.numbers import MISSING, interval, is_missing, number, p_value, percent

PAIRS = {
    **{"low": ("high", "95% interval"), "mass_low": ("mass_high", "95% interval of the mass")},
    **{"if_no": ("if_yes", "unknown all no to all yes")},
}
"""Lower bounds, with the upper one and what both are called."""
SHARES = ("rate", "accuracy", "chance", "habit", "mass", "mass_low", "if_no")
P_VALUES = ("p", "p_map", "p_student", "p_student_map", "p_chance", "p_habit", "p_bits")
_PLACES = ("loop", "layer", "strength", "sites", "loops", "n_sites", "extract_loop", "strength_unit")
"""Columns in which a missing value means that there is no such thing: no injection, or not at one place."""
NOWHERE = "\N{EM DASH}"
HEADERS = {
    **{"n_control": "n of the control", "p_map": "p, whole map", "p_chance": "p against chance"},
    **{"p_student": "p, studentised", "p_student_map": "p, studentised, whole map"},
    **{"p_habit": "p against habit", "bits": "mutual information, bits", "bits_null": "bits by chance"},
    **{"p_bits": "p of the bits", "unknown_first": "unknown to the first"},
    **{"unknown_second": "unknown to the second", "extract_loop": "vectors of loop", "template": "wording"},
    **{"n_loops": "loops run", "dropped": "concepts dropped", "readout_loop": "read out after loop"},
    **{"accuracy": "right answers", "if_no": "unknown all no", "n_sites": "number of sites"},
}
_MEASURES = {
    **{"dprime": "d'", "auc": "AUC", "median_rank": "median rank", "first": "share that is most probable"},
    **{"reciprocal_rank": "mean of 1/(rank + 1)"},
}
_COUNTS = ("n", "n_control", "concepts")
"""Columns that belong to a measure, and are joined where measures become columns."""


@dataclass(frozen=True)
class Sheet:
    """A table of text."""

    name: str
    """Of its file."""
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """What stands below it."""


def sheet(name: str, title: str, frame: pd.DataFrame, note: str = "") -> Sheet:
    """Write a frame as a Sheet."""
    if {"measure", "value", "low", "high"} <= set(frame):
        frame = _measures_as_columns(frame)
    columns = list(_columns(frame))
    header = tuple(said for said, _ in columns)
    return Sheet(name, title, header, tuple(zip(*(texts for _, texts in columns), strict=True)), note)


def _columns(frame: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """Yield each column's name and texts."""
    uppers = {upper for lower, (upper, _) in PAIRS.items() if lower in frame}
    for name in map(str, frame):
        column = [each.item() if hasattr(each, "item") else each for each in frame[name].astype(object)]
        if name in PAIRS:
            upper, said = PAIRS[name]
            share = name in SHARES or bool({"rate", "accuracy"} & set(frame))
            ends = zip(column, frame[upper].astype(object), strict=True)
            yield said, [interval(low, high, share=share) for low, high in ends]
        elif name == "k" and "n" in frame:
            yield "k/n", [f"{k:,}/{n:,}" for k, n in zip(column, frame["n"], strict=True)]
        elif name not in uppers and not (name == "n" and "k" in frame):
            yield HEADERS.get(name, name.replace("_", " ")), [_text(name, value) for value in column]


def _text(column: str, value: object) -> str:
    if is_missing(value):
        return NOWHERE if column in _PLACES else MISSING
    if column in P_VALUES:
        return p_value(value)
    if column in SHARES:
        return percent(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if column in _PLACES and isinstance(value, float) else _any_text(value)


def _any_text(value: object) -> str:
    return number(value) if isinstance(value, int | float) else str(value)


def _measures_as_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn rows that differ in the measure only into one row, with value and interval of each measure in a column."""
    keys = [name for name in frame if name not in ("measure", "value", "low", "high", *_COUNTS)]
    measures, rows = list(frame["measure"].unique()), []
    for place, part in frame.groupby(keys, dropna=False, sort=False):
        by = part.set_index("measure")
        counts = {name: _joined(part[name]) for name in _COUNTS if name in frame}
        found = {measure: _estimate(by.loc[measure]) if measure in by.index else MISSING for measure in measures}
        rows.append(
            {**dict(zip(keys, place, strict=True)), **counts, **{_MEASURES.get(m, m): t for m, t in found.items()}}
        )
    return pd.DataFrame(rows)


def _joined(counts: pd.Series) -> str:
    return ", ".join(dict.fromkeys(f"{count:,}" for count in counts))


def _estimate(row: pd.Series) -> str:
    if is_missing(row["value"]):
        return MISSING
    return f"{number(float(row['value']))} [{interval(float(row['low']), float(row['high']))}]"
