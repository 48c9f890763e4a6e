"""What the tables of the monitors say, a plain sentence each. Goes in: tables. Come out: sentences."""

from collections.abc import Iterator

import pandas as pd

from introspect.results.panels import span_of


def said_of_task(task: str, curves: pd.DataFrame, gap: pd.DataFrame, trained: int) -> Iterator[str]:
    """Say how good both monitors are at the loops as trained, or the nearest that were run, and where they part."""
    loops = min(curves["loops"].unique(), key=lambda each: (abs(each - trained), each))
    at = curves[(curves["loops"] == loops) & (curves["measure"] == "accuracy")].set_index("monitor")
    language, representation, asked, control = (
        at.loc[each] for each in ("language", "representation", "task", "shuffled")
    )
    yield (
        f"{task}, {loops} loops run: the model judges {shown(language)} of {language['n']} given answers rightly, "
        f"a probe of its states {shown(representation)} (of shuffled labels {shown(control)}, always the same "
        f"{at.loc['constant', 'value']:.1%}); it answers {shown(asked)} of {asked['n']} questions rightly itself."
    )
    gaps = gap[gap["measure"] == "accuracy"]
    widest = gaps.iloc[int(gaps["value"].argmax())]
    yield (
        f"{task}: what the probe reads is furthest ahead of what the model says at loops run = {widest['loops']}, "
        f"by {100 * widest['value']:.1f} points of accuracy [{100 * widest['low']:.1f}, {100 * widest['high']:.1f}] "
        f"(n = {widest['n']} answers, 95% interval over {widest['questions']} questions, none for the choice)."
    )


def shown(row: "pd.Series[float]") -> str:
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
        each = [f"{shown(row)} in loop {row['loop']}" for _, row in rows.iterrows()]
        yield f"{name} " + ("an unknown share" if rows["value"].isna().all() else ", ".join(each))
