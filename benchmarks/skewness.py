"""How often both tests over concepts err where concepts are skewed: sign flips, and the studentised bootstrap.

    python -m benchmarks.skewness [--runs 400] [--cells 24]

The true mean of every cell is 0. A map errs if the smallest corrected p of its cells is at most .05. Monte-Carlo errors
are binomial. The last columns have one cell whose mean is 1.5 spreads: how often its corrected p is at most .05.
"""

from collections.abc import Callable

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.timing import show
from introspect.results.statistics.flips import sign_flips
from introspect.results.statistics.studentised import studentised

Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]
WORLDS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(0, 1, shape),
    "log-normal": lambda rng, shape: np.exp(rng.normal(0, 1, shape)) - np.exp(0.5),
    "one in ten far above": lambda rng, shape: (
        np.where(rng.random(shape) < 0.1, 9.0, 0.0) - 0.9 + rng.normal(0, 1, shape)
    ),
}
"""Values of mean 0, (concept, cell)."""


def rejected(draw: Draw, concepts: int, cells: int, runs: int) -> list[float]:
    """Return the shares of p at most .05: cells and maps by sign flips, cells and maps by the bootstrap."""
    rng, found = np.random.default_rng(concepts), []
    for run in range(runs):
        values = draw(rng, (concepts, cells))
        flipped, drawn = sign_flips(values, flips=399, seed=run), studentised(values, draws=399, seed=run)
        found.append([_share(flipped.p), _any(flipped.p_map), _share(drawn.p), _any(drawn.p_map)])
    return [float(each) for each in np.mean(found, axis=0)]


def power(concepts: int, cells: int, runs: int) -> list[float]:
    """Return how often a cell whose mean is 1.5 spreads survives the correction, by either test."""
    rng, found = np.random.default_rng(concepts), []
    for run in range(runs):
        values = rng.normal(0, 1, (concepts, cells)) + 1.5 * (np.arange(cells) == 0)
        found.append(
            [sign_flips(values, flips=399, seed=run).p_map[0], studentised(values, draws=399, seed=run).p_map[0]]
        )
    return [float(each) for each in (np.array(found) <= 0.05).mean(axis=0)]


def _share(p: NDArray[np.float64]) -> float:
    return float((p <= 0.05).mean())


def _any(p: NDArray[np.float64]) -> float:
    return float(p.min() <= 0.05)


def main(runs: int = 400, cells: int = 24) -> None:
    """Print both tables."""
    rows = []
    for concepts in (12, 24, 48):
        for name, draw in WORLDS.items():
            rows.append((concepts, name, *(f"{each:.3f}" for each in rejected(draw, concepts, cells, runs))))
    title = (
        f"{runs} maps of {cells} cells; Monte-Carlo error of a map's share at .05: {np.sqrt(0.05 * 0.95 / runs):.3f}"
    )
    show(title, ("concepts", "values", "flips, cell", "flips, map", "bootstrap, cell", "bootstrap, map"), rows)
    strong = [(concepts, *(f"{each:.2f}" for each in power(concepts, cells, runs))) for concepts in (12, 24, 48)]
    show("one cell of 1.5 spreads found, corrected for the map", ("concepts", "flips", "bootstrap"), strong)


if __name__ == "__main__":
    typer.run(main)
