"""What `introspect sweep` prints at its end: rates, contrast, what to look at. In go the tables it wrote."""

from pathlib import Path

import pandas as pd
from rich.markup import escape

from introspect.cli.printing import OUT, print_absent, print_rows, print_written
from introspect.experiment.sweep import Swept
from introspect.results.statistics.capability import CANNOT_ANSWER
from introspect.results.statistics.intervals import MUCH_UNKNOWN, unknown_share
from introspect.results.tables.rates.rates import RATE

_SHOWN = ("detected", "identified", "correct")


def print_swept(swept: Swept) -> None:
    """Print the rates by loop, where everything is, and what to look at."""
    print_loops(loops := _read(swept.folder, "loops"))
    _print_unknown(loops)
    OUT.print("")
    _print_capability(_read(swept.folder, "capability"))
    _print_contrast(_read(swept.folder, "contrasts"))
    failed = f", {swept.failed} failed: see column error of trials.csv" if swept.failed else ""
    OUT.print(f"{swept.done} trials in {escape(str(swept.folder))}{failed}")
    if swept.unended:
        OUT.print(swept.unended)
    if swept.unmatched:
        OUT.print(swept.unmatched, markup=False)
    if swept.work.least:
        said = f"work: {swept.work.ratio:.2f} times the least that these trials need"
        OUT.print(f"{said} ({swept.work.done:,} token-block forwards)")
    print_written("tables", swept.tables)
    print_written("figures", [path for path in swept.figures if path.suffix == ".png"])
    print_absent(swept.absent)
    if any(path.name == "detection_map.png" for path in swept.figures):
        OUT.print(
            "\nLook at figures/detection_map.png first: a thought was noticed where the rate of the concept vectors "
            "stands clear of both controls, no injection and random directions."
        )


def print_loops(loops: pd.DataFrame) -> None:
    """Print the rates by loop that the run has with their intervals, the controls below."""
    if loops.empty:
        return
    keys = [name for name in loops.columns if name not in ("measure", *RATE)]
    measures = [m for m in _SHOWN if (loops["measure"] == m).any()]
    rows = []
    for cell, part in loops[loops["measure"].isin(measures)].groupby(keys, dropna=False, sort=False):
        by = part.set_index("measure")
        rows.append([_short(value) for value in cell] + [_rate(by, measure) for measure in measures])
    print_rows([*keys, *measures], rows)


def _read(folder: Path, name: str) -> pd.DataFrame:
    """Read a table of a run; one that it does not have is empty."""
    path = folder / "tables" / f"{name}.csv"
    return pd.read_csv(path, keep_default_na=False, na_values=[""]) if path.exists() else pd.DataFrame()


def _print_unknown(loops: pd.DataFrame) -> None:
    """Say of which measures many answers are unknown, and what holds all the same."""
    if loops.empty:
        return
    counts = loops.groupby("measure", sort=False)[["n", "unknown"]].sum().reindex(_SHOWN).dropna()
    shares = pd.Series(unknown_share(counts["n"], counts["unknown"]), index=counts.index)
    if (shares > MUCH_UNKNOWN).any():
        said = ", ".join(f"{share:.0%} ({measure})" for measure, share in shares.items() if share > MUCH_UNKNOWN)
        OUT.print(
            f"unknown answers, over all questions and arms: {said}; they are in no rate. Whatever they say, "
            "the rate of all answers lies between if_no and if_yes of rates.csv; "
            "where they are, figures/unknown_map.png shows"
        )


def _print_contrast(contrasts: pd.DataFrame) -> None:
    """Print the primary contrast over all cells, a line a wording."""
    if contrasts.empty:
        return
    overall = contrasts[contrasts["strength"].isna() & contrasts["mean"].notna()]
    leaning = overall[overall["effect"] == "leaning"].set_index("template")["mean"]
    for _, row in overall[overall["effect"] == "contrast"].iterrows():
        OUT.print(
            f"contrast ({escape(row['template'])}): {row['mean']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}] logits, "
            f"p = {row['p']:.4f}, {row['n']:.0f} concepts: yes against no, noticing beyond the line of plain "
            f"questions, concept against random direction, over all cells{_leaning(leaning.get(row['template']))}"
        )


def _leaning(mean: float | None) -> str:
    """Say which side wins all the same: a vector may move an answer that stays what it was."""
    if mean is None:
        return ""
    return f"; {'yes' if mean > 0 else 'no'} is ahead, by {abs(mean):.2f} logits on average"


def _loops_run(n: int) -> str:
    """Write a number of loops."""
    return "1 loop" if n == 1 else f"{n} loops"


def _print_capability(capability: pd.DataFrame) -> None:
    """Say what the model cannot answer with nothing injected."""
    for loops, echo in _echoes(capability):
        OUT.print(f"echo ({_loops_run(loops)}): {echo:.0%} of the answers with nothing injected repeat their prompt")
    failing = capability[capability["verdict"] == CANNOT_ANSWER] if not capability.empty else capability
    for _, row in failing.iterrows():
        mass = "" if row["mass"] != row["mass"] else f", probability of the answers {row['mass']:.2f}"  # NaN: none
        OUT.print(
            f"cannot answer {row['answers']} ({escape(row['grader'])}, {_loops_run(row['n_loops'])}): {row['k']} of "
            f"{row['n'] + row['unknown']} answers right with nothing injected{mass}; "
            "no rate of such questions is a finding"
        )


def _echoes(capability: pd.DataFrame) -> list[tuple[int, float]]:
    """Return the numbers of loops with which answers echo their prompt, and the share of those that do."""
    if "echo" not in capability:
        return []
    said = capability[capability["echo"] > 0].drop_duplicates("n_loops")
    return list(zip(said["n_loops"], said["echo"], strict=True))


def _short(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:g}"  # NaN is what an empty field is read as
    return str(value)


def _rate(by: pd.DataFrame, measure: str) -> str:
    if measure not in by.index:
        return ""
    row = by.loc[measure]
    share = f"{row['unknown']:.0f} unknown ({float(unknown_share(row['n'], row['unknown'])):.0%})"
    beside = f", {share}" if row["unknown"] else ""
    beside += f", {row['errors']:.0f} failed" if row["errors"] else ""
    if row["note"] == CANNOT_ANSWER:
        return f"{CANNOT_ANSWER}{beside}"
    if not row["n"]:
        return f"no verdict{beside}"
    return f"{row['rate']:.2f} [{row['low']:.2f}, {row['high']:.2f}] of {row['n']:.0f}{beside}"
