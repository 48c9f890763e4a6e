"""What the tables of the monitors say, a plain sentence each. Goes in: tables. Come out: sentences."""

from collections.abc import Iterator, Mapping

import pandas as pd

from introspect.results.figures.style import span_of


def said_of_task(task: str, curves: pd.DataFrame, gap: pd.DataFrame, trained: int) -> Iterator[str]:
    """Say how good both monitors are at the loops as trained, or the nearest that were run, and where they part."""
    loops = min(curves["loops"].unique(), key=lambda each: (abs(each - trained), each))
    at = curves[(curves["loops"] == loops) & (curves["measure"] == "accuracy")].set_index("monitor")
    language, representation, asked, control = (
        at.loc[each] for each in ("language", "representation", "task", "shuffled")
    )
    yield (
        f"{task}, {loops} loops run: the model judges {_shown(language)} of {language['n']} given answers rightly, "
        f"with a threshold that is fitted {_shown(at.loc['language-fitted'])}, a probe of its states "
        f"{_shown(representation)} (of labels dealt out anew on average {control['value']:.1%}, at most "
        f"{control['high']:.1%}; always the same {at.loc['constant', 'value']:.1%}); it answers {_shown(asked)} of "
        f"{asked['n']} questions rightly itself."
    )
    yield _undecided(task, at.loc["language-words"], at.loc["task-words"])
    gaps = gap[gap["measure"] == "accuracy"]
    widest = gaps.iloc[int(gaps["value"].argmax())]
    yield (
        f"{task}: what the probe reads is furthest ahead of what the model says, its threshold fitted, at loops run = "
        f"{widest['loops']}, by {100 * widest['value']:.1f} points of accuracy [{100 * widest['low']:.1f}, "
        f"{100 * widest['high']:.1f}] (n = {widest['n']} answers, 95% interval over {widest['questions']} questions or "
        f"groups of them, none for the choice)."
    )


def _undecided(task: str, judged: "pd.Series[float]", asked: "pd.Series[float]") -> str:
    """Say how often the words decide at all; what is said else is unknown, and in no rate."""
    parts = [
        f"{row['unknown']} of {row['n'] + row['unknown']} {what} unknown, {_shown(row)} of the others right"
        for row, what in ((judged, "judgements are"), (asked, "answers are"))
    ]
    return f"{task}, by its most probable next word, which may be neither yes nor no nor an answer: {'; '.join(parts)}."


def said_of_loss(table: pd.DataFrame) -> list[str]:
    """Say the loss with each number of loops, and what each costs beside the fewest."""
    each = [f"{_between(row, 'nats', 'low', 'high')} with {_loops_run(row)}" for _, row in table.iterrows()]
    more = [f"{row['more']:+.2f} with {_loops_run(row)}{_bounds(row)}" for _, row in table.iloc[1:].iterrows()]
    first = table.iloc[0]
    read = f"n = {first['texts']:.0f} texts, {first['tokens']:.0f} tokens"
    said = f"Language-model loss in nats a token: {', '.join(each)} ({read}"
    return [f"{said}, 95% intervals over texts)." + (f" Beside the fewest: {', '.join(more)}." if more else "")]


def said_of_sample(counted: Mapping[str, tuple[int, int]], *, full: bool) -> list[str]:
    """Say what was left out, where anything was."""
    parts = [f"{n} of {of} questions of {task}" for task, (n, of) in counted.items() if n < of]
    if full:
        return []
    return [f"This is a sample{', of ' if parts else ''}{', '.join(parts)}; --full runs everything."]


def _between(row: "pd.Series[float]", value: str, low: str, high: str) -> str:
    bounds = "" if pd.isna(row[low]) else f" [{row[low]:.2f}, {row[high]:.2f}]"
    return f"{row[value]:.2f}{bounds}"


def _bounds(row: "pd.Series[float]") -> str:
    return "" if pd.isna(row["more_low"]) else f" [{row['more_low']:+.2f}, {row['more_high']:+.2f}]"


def _loops_run(row: "pd.Series[float]") -> str:
    return f"{row['loops']:.0f} loop{'s' if row['loops'] > 1 else ''} run"


def _shown(row: "pd.Series[float]") -> str:
    """Write a share with its interval."""
    if pd.isna(row["value"]):
        return "an unknown share"
    if pd.isna(row["low"]):
        return f"{row['value']:.1%}"
    return f"{row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"


def said_of_injected(monitors: pd.DataFrame) -> Iterator[str]:
    """Say of the largest strength, by the loop of the injection, who tells injected thoughts from random directions."""
    at = monitors[monitors["strength"] == monitors["strength"].max()]
    what = {"detection": "told from random directions (chance 50%)", "naming": "named"}
    for measure, done in what.items():
        cells = at[at["measure"] == measure]
        control = cells[cells["by"] == "shuffled"]["value"].dropna()
        shuffled = f"at most {control.max():.1%}" if len(control) else "none, which takes two wordings or strengths"
        yield (
            f"At strength {cells['strength'].iloc[0]:g}, injected concepts are {done}: {'; '.join(_loops(cells))}; "
            f"by a probe of shuffled labels {shuffled} (n = {span_of(cells['n'])} trials a loop, "
            f"95% intervals over {span_of(cells['concepts'])} concepts)."
        )


def _loops(cells: pd.DataFrame) -> Iterator[str]:
    for by, name in (("words", "by its words"), ("logits", "by its logits"), ("probe", "by a probe of its states")):
        rows = cells[cells["by"] == by]
        each = [
            f"{_shown(row)} in loop {row['loop']}" + (f" ({row['unknown']} unknown)" if row["unknown"] else "")
            for _, row in rows.iterrows()
        ]
        yield f"{name} " + ("an unknown share" if rows["value"].isna().all() else ", ".join(each))
