"""The primary contrast over wordings and concepts together, for runs that ask in three wordings or more.

Takes narrow trials, returns wordings.csv: what the next wording of a next concept would show, not these alone.
"""

from dataclasses import asdict

import pandas as pd

from introspect.protocols import questions_of
from introspect.results.statistics.contrasts import EFFECTS
from introspect.results.statistics.crossed import LEAST_WORDINGS, crossed_mean
from introspect.results.tables.effects.wording_effects import effects_by_concept, tidy


def wordings_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each effect of contrasts.csv with an interval over wordings and concepts, overall and in every cell.

    No rows where no question about noticing was asked in LEAST_WORDINGS wordings.
    """
    rows = []
    for question in questions_of("noticing"):
        own = trials[(trials["question"] == question)]
        if own["template"].nunique() < LEAST_WORDINGS:
            continue
        others = set(questions_of("noticing")) - {question}
        effects = effects_by_concept(trials[~trials["question"].isin(others)])
        if effects.empty or effects["template"].nunique() < LEAST_WORDINGS:
            continue
        cell = [str(name) for name in effects if name not in ("template", "concept", "effect", "value")]
        for place, part in effects.groupby([*cell, "effect"], dropna=False, sort=False):
            values = part.pivot(index="template", columns="concept", values="value")
            at: dict[str, object] = dict(zip([*cell, "effect"], place, strict=True))
            rows.append({"question": question, **at, **asdict(crossed_mean(values.to_numpy(dtype=float)))})
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    order = {effect: place for place, effect in enumerate(EFFECTS[::-1])}
    table = table.sort_values("effect", key=lambda column: column.map(order), kind="stable", ignore_index=True)
    return tidy(table, ("question", "effect"))
