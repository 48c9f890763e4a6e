"""The primary contrast on runs whose truth is known: bias, coverage of its interval, how often its test errs.

    python -m benchmarks.statistics [--concepts 24] [--runs 4000] [--flips 999]

Each run draws its plain questions, its concepts and their noise anew. The last column is the mean error of taking the
mean of as many yes as no questions off in place of their line. Monte-Carlo errors are binomial, or standard errors.
"""

from dataclasses import dataclass

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import stats

from benchmarks.timing import show
from introspect.results.statistics.flips import sign_flips
from introspect.results.statistics.plain_line import line_values, moments

QUESTIONS = 22
"""Different plain questions of each answer, as in the shipped list."""
CLEAN = {"yes": (5.5, 1.5), "no": (-7.5, 2.5), "detect": (-9.0, 0.0)}
"""Mean and spread of logit(yes) - logit(no) without an injection: those of organisms lie near."""


@dataclass(frozen=True)
class World:
    """What an injection does, as pairs: the concept's vector, a random direction. Logits."""

    pull: tuple[float, float] = (0.0, 0.0)
    """Shift towards yes of any question."""
    slope: tuple[float, float] = (0.0, 0.0)
    """Shift per logit without an injection; -1 leaves nothing."""
    effect: tuple[float, float] = (0.0, 0.0)
    """Shift of the question about noticing beyond these."""
    own_pull: float = 1.0
    """Spread over concepts of the pull, shared by a concept's questions."""
    own_slope: float = 0.1
    own_effect: float = 1.0
    noise: float = 0.7
    """Spread of one trial."""
    of_question: float = 0.5
    """Spread of what a plain question is moved by whatever is injected: the line does not fit perfectly."""

    @property
    def contrast(self) -> float:
        """Return the true primary contrast."""
        return self.effect[0] - self.effect[1]


WORLDS = {
    "nothing": World(),
    "pull towards yes, equal": World(pull=(3, 3)),
    "pull towards yes, unequal": World(pull=(3, 1)),
    "compression, equal": World(slope=(-0.4, -0.4)),
    "compression, unequal": World(slope=(-0.6, -0.3)),
    "pull and compression, unequal": World(pull=(-2, 1), slope=(-0.6, -0.3)),
    "any push is noticed": World(effect=(2, 2), slope=(-0.4, -0.4)),
    "effect of 1": World(effect=(1, 0)),
    "effect of 1, pull and compression, unequal": World(effect=(1, 0), pull=(-2, 1), slope=(-0.6, -0.3)),
}


@dataclass(frozen=True)
class Found:
    """What many runs of one world gave."""

    bias: float
    """Mean contrast less the true one."""
    bias_error: float
    coverage: float
    """Share of 95% intervals with the true contrast in them."""
    rejected: float
    """Share of p below .05."""
    of_mean: float
    """Bias when the mean of plain questions is taken off."""
    runs: int

    def error(self, share: float) -> float:
        """Return the Monte-Carlo standard error of a share."""
        return float(np.sqrt(share * (1 - share) / self.runs))


def simulated(world: World, concepts: int, runs: int, *, flips: int = 999, seed: int = 0) -> Found:
    """Return what the primary contrast makes of a world."""
    values, naive = contrasts(world, concepts, runs, np.random.default_rng(seed))
    means, errors = values.mean(axis=1), stats.sem(values, axis=1)
    reach = errors * stats.t.ppf(0.975, concepts - 1)
    return Found(
        bias=float(means.mean() - world.contrast),
        bias_error=float(stats.sem(means)),
        coverage=float((np.abs(means - world.contrast) <= reach).mean()),
        rejected=float((sign_flips(values.T, flips=flips, seed=seed).p <= 0.05).mean()),
        of_mean=float(naive.mean() - world.contrast),
        runs=runs,
    )


def contrasts(
    world: World, concepts: int, runs: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the contrast of every run and concept, by the line and by the mean of plain questions: (run, concept)."""
    asked = np.arange(concepts) % QUESTIONS
    plain = np.stack([rng.normal(*CLEAN[answer], (runs, QUESTIONS)) for answer in ("yes", "no")], axis=-1)
    clean, own = plain[:, asked], rng.normal(0, world.of_question, plain.shape)[:, asked]
    detect = np.full((runs, concepts), CLEAN["detect"][0])
    by_line, by_mean = [], []
    for arm in (0, 1):
        pull = world.pull[arm] + rng.normal(0, world.own_pull, (runs, concepts))
        slope = world.slope[arm] + rng.normal(0, world.own_slope, (runs, concepts))
        moved = pull[..., None] + slope[..., None] * clean + own + rng.normal(0, world.noise, clean.shape)
        effect = world.effect[arm] + rng.normal(0, world.own_effect, (runs, concepts)) * (world.effect[arm] != 0)
        noticed = pull + slope * detect + effect + rng.normal(0, world.noise, detect.shape)
        by_line.append(line_values(moments(clean, moved).sum(axis=2), np.stack([detect, noticed], axis=-1))[0])
        by_mean.append(noticed - moved.mean(axis=-1))
    return by_line[0] - by_line[1], by_mean[0] - by_mean[1]


def main(concepts: int = 24, runs: int = 4000, flips: int = 999) -> None:
    """Print the table."""
    rows = []
    for seed, (name, world) in enumerate(WORLDS.items()):
        found = simulated(world, concepts, runs, flips=flips, seed=seed)
        shares = [f"{share:.3f} ± {found.error(share):.3f}" for share in (found.coverage, found.rejected)]
        bias = f"{found.bias:+.3f} ± {found.bias_error:.3f}"
        rows.append((name, f"{world.contrast:g}", bias, *shares, f"{found.of_mean:+.2f}"))
    columns = ("world", "truth", "bias", "95% interval covers", "p < .05", "bias of the mean")
    show(f"{runs} runs of {concepts} concepts", columns, rows)


if __name__ == "__main__":
    typer.run(main)
