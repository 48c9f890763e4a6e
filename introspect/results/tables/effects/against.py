"""The concept's vector against every other arm that plain questions were asked in: one estimator for all of them.

`random` has contrasts.csv; here are the arms with other answers to "would any push do?": a direction in the span of the
concepts, the vector reversed or shuffled, and the concept written into the prompt, which is what an anomaly of the
input alone can do. Takes narrow trials, returns against.csv.
"""

import pandas as pd

from introspect.protocols import beside
from introspect.records.trial import ARMS, Arm
from introspect.results.statistics.contrasts import concept_effects
from introspect.results.tables.effects.compression import PAIRED_BY, lacks_plain
from introspect.results.tables.effects.wording_effects import effects_in_cells, effects_of_text, tested, tidy, wordings

AGAINST_NAMES = ("injected", "control", "difference")
IN_CONTRASTS: tuple[Arm, ...] = ("injected", "none", "random")


def against_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of the concept's vector and of each other arm, and the first minus the second, with tests.

    No rows where no other arm was asked both the question about noticing and the plain questions beside it.
    """
    parts = []
    for question, template, asked in wordings(trials):
        plain = beside(question)
        if plain is None or lacks_plain(asked, question, plain) is not None:
            continue
        there = set(zip(asked["arm"], asked["question"], strict=True))
        for arm in ARMS:
            if arm not in IN_CONTRASTS and {(arm, question), (arm, plain)} <= there:
                parts.append(_against(arm, question, plain, asked).assign(template=template, control=arm))
    return tidy(pd.concat(parts, ignore_index=True), ("template", "control", "effect")) if parts else pd.DataFrame()


def _against(arm: Arm, question: str, plain: str, asked: pd.DataFrame) -> pd.DataFrame:
    cell, effects = effects_in_cells(question, plain, asked)
    if arm == "text":
        second = effects["concept"].map(effects_of_text(question, plain, asked))
        pairs = effects.assign(second=second)
    else:
        pairs = concept_effects(
            asked, cell=cell, detect=question, unrelated=plain, pairs=PAIRED_BY, control=arm
        ).rename(columns={arm: "second"})
    return tested(
        pairs[[*cell, "concept", "injected", "second"]].rename(columns={"injected": "first"}), cell, AGAINST_NAMES
    )
