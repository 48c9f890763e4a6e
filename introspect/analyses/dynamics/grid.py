"""The design study: input re-feed x norm x number of blocks, with random weights, beside what is published.

Goes in: numbers of blocks, seeds, recurrences. Comes out: an Analysis.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product

import pandas as pd
import torch

from introspect.analyses.dynamics.design import NORMS, Design, Norm, Stack
from introspect.analyses.dynamics.design_figures import designs
from introspect.analyses.dynamics.settling import Settled, Settling, Verdict
from introspect.results.analysed import Analysis
from introspect.results.panels import figure_of

BLOCKS, SEEDS, ROWS, POSITIONS = (4, 8, 12), 3, 4, 12
RECURRENCES = 128
PUBLISHED: dict[tuple[bool, Norm], Verdict] = {
    **{(True, "pre-norm"): "converges", (True, "Huginn's"): "converges", (True, "Ouro's"): "does not"},
    **{(False, "pre-norm"): "degenerate", (False, "Huginn's"): "does not", (False, "Ouro's"): "does not"},
}
"""By re-feed and norm: Blayney et al. (2026), section 5, the same for 4 and 16 blocks."""


def design_study(blocks: Sequence[int] = BLOCKS, *, seeds: int = SEEDS, recurrences: int = RECURRENCES) -> Analysis:
    """Run every design with so many seeds. Raises InputError for too few recurrences."""
    parts, rows = [], []
    for refeed, norm, size in product((True, False), NORMS, blocks):
        for seed in range(seeds):
            found = settled(Design(refeed, norm, size), seed, recurrences)
            about = {"refeed": refeed, "norm": norm, "blocks": size, "seed": seed}
            measured = {"away": found.away, "turn": found.turn, "lowest_cosine": found.lowest}
            rows.append({**about, **measured, "verdict": found.verdict, "published": PUBLISHED[refeed, norm]})
            last = found.layers[found.layers["layer"] == size - 1].assign(**about)
            parts.append(last[[*about, "loop", "change_relative", "change_cosine", "distance_cosine"]])
    each, paths = pd.DataFrame(rows), pd.concat(parts, ignore_index=True)
    return Analysis(
        name="dynamics-grid",
        title="Which designs come to rest before they are trained",
        made_with={"blocks": list(blocks), "seeds": seeds, "recurrences": recurrences, "rows": ROWS},
        sentences=_sentences(each),
        tables={
            "designs": ("What each design with each seed does, beside what is published", each),
            "verdicts": ("How many seeds and sizes of each design do what", verdicts(each)),
            "design_paths": ("Change and distance at the last block, by recurrence", paths),
        },
        figures={"designs": ("Angle from the loop before, by design", figure_of(designs(paths)))},
    )


def settled(design: Design, seed: int, recurrences: int) -> Settled:
    """Run one stack over a few random texts."""
    stack, settling = Stack(design, seed), Settling(design.blocks, recurrences)
    ids = stack.tokens(ROWS, POSITIONS)
    settling.add(partial(stack.show, ids, recurrences), torch.ones_like(ids))
    return settling.settled()


def verdicts(each: pd.DataFrame) -> pd.DataFrame:
    """Count the verdicts of each design: `k` of `n` agree with what is published."""
    rows = []
    for (refeed, norm), part in each.groupby(["refeed", "norm"], sort=False):
        counts = {name: int((part["verdict"] == name).sum()) for name in ("converges", "degenerate", "does not")}
        published = part["published"].iloc[0]
        rows.append({"refeed": refeed, "norm": norm, **counts, "published": published, "k": counts[published]})
    return pd.DataFrame(rows).assign(n=len(each) // len(rows))


def _sentences(each: pd.DataFrame) -> tuple[str, ...]:
    said = []
    for row in verdicts(each).to_dict("records"):
        design = f"{row['norm']} {'norm ' if row['norm'] != 'pre-norm' else ''}with{'' if row['refeed'] else 'out'}"
        counts = ", ".join(f"{row[name]} {name}" for name in ("converges", "degenerate", "does not") if row[name])
        said.append(f"{design} input re-feed: {counts}, of {row['n']} stacks (published: {row['published']}).")
    return tuple(said)
