"""The grid that options span on a model. Goes in: the options and what they do not say. Comes out: a Grid."""

from typing import Any

from introspect.experiment.options import Options
from introspect.families.loading import Outline
from introspect.injection.plan.grid import Grid


def grid_of(options: Options, **of_model: Any) -> Grid:  # Any: what the options do not say, as Grid has it
    """Cross everything that the options name with everything, on a model of this description."""
    n_loops = max(of_model["totals"])
    return Grid(
        **of_model,
        protocol=options.protocol,
        variants=tuple(variant for variant, _ in options.variants()),
        remaining=options.remaining_loops,
        concepts=options.words(),
        sites=options.sites(n_loops, of_model["layers"]),
        strengths=options.strength_values(),
        mode=options.mode(),
        split_dose=options.split_dose,
        arms=options.chosen_arms(),
        extract_loops=options.chosen_extract_loops(n_loops),
        unit=options.unit(),
        numbers=options.numbers(),
        repeats=options.repeats,
        seed=options.seed,
    )


def check_plan(options: Options, outline: Outline, dtype: str) -> None:
    """Raise InputError for what cannot be planned for a model of this outline."""
    totals = options.totals(outline.n_loops)
    for total in totals:
        outline.check_loops(total)
    of_model = {"model": options.model, "dtype": dtype, "totals": totals, "layers": outline.layers}
    unknown = {"weights_hash": "", "vectors_hash": "", "vector_loops": max(totals), "sampling": options.sampling}
    for total in grid_of(options, **of_model, **unknown).loops_run():
        outline.check_loops(total)
