"""What a trajectory is going to run, and what it takes. Goes in: options, or a run. Comes out: trials, and a _Cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path

from introspect.analyses.subject import Subject, open_subject
from introspect.analyses.trajectory.cache_memory import laboratory_of, planned_for_memory
from introspect.analyses.trajectory.lenses import WORDS, lenses_of
from introspect.analyses.trajectory.measure import METRICS, QUANTITIES
from introspect.analyses.trajectory.probe import PROBES, Probe
from introspect.errors import InputError
from introspect.experiment.laboratory import Laboratory
from introspect.experiment.options import Options
from introspect.injection.engine.engine import Key, key_of, prompt_key
from introspect.injection.prefix.memory import rows_that_fit
from introspect.records.trial import Arm, Trial
from introspect.selection import one_of

_ARMS: tuple[Arm, ...] = ("injected", "random")
_MOST_ROWS = 64
"""Rows of a batch unless asked for: larger ones gain little, and each holds its states at all sites."""
MOST_DRAWN = 8
"""Trials that are drawn."""


@dataclass(frozen=True)
class _Cost:
    """What it takes to run a plan, beside the model and the making of the concept vectors."""

    trials: int
    forwards: int
    token_blocks: int
    """Tokens times blocks, of all rows; one is one token of one row through one block once."""
    bytes: int
    """Of a batch and of all that is kept."""


@dataclass(frozen=True)
class Walks:
    """What the walks of some trials take."""

    forwards: int
    tokens: int
    """Of all rows, controls included."""
    trial_tokens: int
    """Of the trials alone."""
    once: int
    """Of each prompt, which is run once with nothing injected to make injections ready."""


@dataclass(frozen=True)
class TrajectoryPlan:
    """What is going to be run, of one number of loops and one wording."""

    subject: Subject
    probe: Probe
    n_loops: int | None

    @cached_property
    def trials(self) -> list[Trial]:
        """List the trials whose paths are walked, of the first question in its first wording."""
        variant = self.subject.laboratory.options.variants()[0][0]
        found = self.subject.trials(_ARMS, variant.question.name)
        found = [trial for trial in found if trial.template_hash == variant.template_hash]
        loops = sorted({trial.n_loops for trial in found})
        chosen = loops[0] if len(loops) == 1 and self.n_loops is None else self.n_loops
        found = [trial for trial in found if trial.n_loops == chosen]
        if not any(trial.arm == "injected" for trial in found):
            ran = ", ".join(map(str, loops)) or "no"
            raise InputError(f"n_loops {chosen}: trials are injected with {ran} loops; choose one of these numbers")
        return found

    @cached_property
    def prior(self) -> Laboratory:
        """Return the laboratory of the trials whose cache is read."""
        return laboratory_of(self.subject)

    @cached_property
    def remembering(self) -> list[Trial]:
        """List the trials whose cache is read."""
        return planned_for_memory(self.prior, self.subject.vectors, self.trials[0].n_loops)

    @cached_property
    def strength(self) -> float:
        """Return the strength that figures show: the middle one, of two the larger."""
        strengths = sorted({trial.injection.strength for trial in self.trials if trial.injection is not None})
        return strengths[len(strengths) // 2]

    @property
    def shown(self) -> list[Trial]:
        """List the trials that are drawn: the first concept's, at the strength of the figures, one an injected site."""
        found = [
            trial
            for trial in self.trials
            if (trial.arm, trial.concept, trial.repeat) == ("injected", self.trials[0].concept, 0)
            if trial.injection is not None and trial.injection.strength == self.strength
        ]
        return found[:MOST_DRAWN]

    @cached_property
    def size(self) -> int:
        """Return the rows of a batch; InputError when not even one fits."""
        laboratory = self.subject.laboratory
        return laboratory.options.batch_size or rows_that_fit(laboratory.tap.looped, self._row_bytes, most=_MOST_ROWS)

    def cost(self) -> _Cost:
        """Say what the plan takes."""
        looped, n_loops = self.subject.tap.looped, self.trials[0].n_loops
        sites, (slots, heads, width) = looped.sites(n_loops), looped.cache_shape(n_loops)
        walks = [self._walks(self.trials, self.subject.laboratory), self._walks(self.remembering, self.prior)]
        drawn = 2 * len(self.shown) * self._length
        blocks = len(sites) * (sum(walk.tokens + walk.once for walk in walks) + drawn)
        lenses = (
            2 * walks[0].trial_tokens * (len(sites) - len(looped.coda))
        )  # behind every other site, trial and control
        ends = (n_loops - 1) * sum(walk.once for walk in walks)  # the coda reads the end of each loop of a beginning
        blocks += len(looped.coda) * (lenses + ends)
        numbers = len(METRICS) * len(QUANTITIES) + len(lenses_of(looped)) * len(WORDS) * 2
        kept = len(self.trials) * len(sites) * numbers * 2 * 8
        kept += len(self.remembering) * min(slots, len(sites)) * 2 * heads * width * 4
        rows = len(self.trials) + len(self.remembering)
        forwards = sum(walk.forwards for walk in walks) + 2 * len(self.shown)
        return _Cost(rows, forwards, blocks, self.size * self._row_bytes + kept)

    def _walks(self, trials: Sequence[Trial], laboratory: Laboratory) -> "Walks":
        """Add up the walks of trials in batches."""
        counts: dict[Key, int] = {}
        for trial in trials:
            counts[key_of(trial)] = counts.get(key_of(trial), 0) + 1
        forwards = tokens = trial_tokens = once = 0
        for (prompt, *_), count in counts.items():
            length, sizes = len(laboratory.prompts[prompt].token_ids), {min(self.size, count), count % self.size} - {0}
            forwards += ceil(count / self.size) + len(sizes) + 1  # one batch of controls a size, and the prompt alone
            tokens += length * (count + sum(sizes))
            trial_tokens += length * count
            once += length
        return Walks(forwards, tokens, trial_tokens, once)

    @property
    def _length(self) -> int:
        """Return the tokens of the first prompt."""
        return len(self.subject.laboratory.prompts[prompt_key(self.trials[0])].token_ids)

    @property
    def _row_bytes(self) -> int:
        """Estimate the bytes of a row: those of its forward, and its states and its control's at all sites."""
        looped, laboratory = self.subject.tap.looped, self.subject.laboratory
        tokens = self._length if looped.coda else 1
        states = 2 * (1 + len(looped.sites(self.trials[0].n_loops))) * tokens * looped.d_model * looped.dtype.itemsize
        return max(laboratory.row_bytes(), self.prior.row_bytes()) + states


def planning(
    options: Options, *, run: str | Path | None = None, probe: str = "means", n_loops: int | None = None
) -> TrajectoryPlan:
    """Load the model and plan. Raises InputError for bad input, before that where it can be seen."""
    chosen = one_of(probe, tuple(PROBES), kind="probe")
    if run is None:
        _check_concepts(options.words())
        if len(options.totals(1)) > 1:
            raise InputError(f"n_loops {options.n_loops!r}: a trajectory has one number of loops")
    plan = TrajectoryPlan(open_subject(options, run), chosen, n_loops)
    _check_concepts(plan.subject.laboratory.options.words())
    return plan


def _check_concepts(words: Sequence[str]) -> None:
    if len(words) < 2:
        raise InputError(f"concepts {','.join(words)!r}: a probe that names the concept needs at least 2 of them")
