"""Injected trials and their controls: what the model says of them, in words and in logits, and what its states are.

Goes in: the trials of a run, or those that a sweep with the same options would run. Comes out: Seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from introspect.analyses.kept_units import Array, Keeping
from introspect.analyses.monitor.ask import States
from introspect.analyses.subject import Subject
from introspect.errors import InputError
from introspect.grading import GRADERS
from introspect.injection.engine.engine import Engine
from introspect.injection.engine.failures import UnreachableError
from introspect.injection.engine.uncached_forward import alike, walk_behind
from introspect.records.response import Response
from introspect.records.trial import Arm, Site, Trial
from introspect.results.statistics.clusters import MIN_CONCEPTS

_ARMS: tuple[Arm, ...] = ("injected", "none", "random")
QUESTION = "detect"


@dataclass(frozen=True)
class Seen:
    """Trials, one a row, with what was said, and the states behind the last token of their prompts."""

    trials: pd.DataFrame
    """concept, arm, wording, strength, loop (of the injection's first site), detected, identified, named (right
    concept among all by the logits of their first tokens), and logit(yes) - logit(no) after each loop, `logit-LOOP`."""
    states: States
    loops: range
    layers: tuple[int, ...]
    """At which there are states."""


def injected_trials(subject: Subject) -> list[Trial]:
    """Return the injected trials and their controls of the most loops run. Raises InputError where they do not do."""
    arms = [arm for arm in _ARMS if arm in subject.laboratory.options.chosen_arms()]
    found = subject.trials(arms, QUESTION)
    where = "the options" if subject.run is None else str(subject.run.folder)
    for arm in ("injected", "random"):
        if not any(trial.arm == arm for trial in found):
            raise InputError(f"{where}: no trials of arm {arm!r} and question {QUESTION!r}; a monitor needs both")
    check_concepts(len({trial.concept for trial in found}), where)
    most = max(trial.n_loops for trial in found)
    return [trial for trial in found if trial.n_loops == most and _reachable(subject.engine, trial)]


def check_concepts(concepts: int, where: str) -> None:
    """Raise InputError for so few concepts that they cannot be split."""
    if concepts < MIN_CONCEPTS:
        raise InputError(f"{where}: {concepts} concepts; to split them, at least {MIN_CONCEPTS} are needed")


def see(subject: Subject, layers: Sequence[int], *, size: int, keep: Keeping) -> Seen:
    """Run the prompts of the trials, and take the words of the run, or have them said."""
    trials, looped = injected_trials(subject), subject.tap.looped
    n_loops, last = trials[0].n_loops, looped.n_layers - 1
    sites = [Site(loop, layer) for loop in range(n_loops) for layer in sorted({*layers, last})]
    place = {trial.id: row for row, trial in enumerate(trials)}
    differences, named, parts = np.zeros((n_loops, len(trials))), np.zeros(len(trials)), []
    batches = list(alike(trials, size, by_site=True))
    keep.begin("batches of injected prompts", len(batches))
    for batch in batches:
        rows, ids = [place[trial.id] for trial in batch], [trial.id for trial in batch]
        kept = keep.unit(partial(_read, subject, batch, sites), trials=ids, sites=list(map(str, sites)))
        differences[:, rows], named[rows] = kept["differences"], kept["named"]
        parts.append((rows, kept))
    frame = pd.DataFrame(map(_about, trials)).assign(named=named)
    frame = frame.assign(**{f"logit-{loop}": differences[loop] for loop in range(n_loops)})
    states = States({site: index for index, site in enumerate(sites)}, parts)
    return Seen(frame.join(_words(subject, trials, keep)), states, range(n_loops), tuple(layers))


def _read(subject: Subject, trials: list[Trial], sites: Sequence[Site]) -> dict[str, Array]:
    """Return the states behind the prompts, `(site, trial, d_model)`, and what is read out there."""
    states: dict[Site, Array] = {}
    said = walk_behind(
        subject.engine, trials, lambda site, h: states.update({site: h[:, -1].float().cpu().numpy()}), sites=sites
    )
    return {
        "states": np.stack([states[site] for site in sites]),
        "differences": np.stack([_difference(subject.engine, logits) for logits in said]),
        "named": np.array(_named(subject, said[-1], trials), dtype=np.float64),
    }


def _about(trial: Trial) -> dict[str, object]:
    injection = trial.injection
    return {
        "concept": trial.concept,
        "arm": trial.arm,
        "wording": str(trial.variables),
        "strength": np.nan if injection is None else injection.strength,
        "loop": np.nan if injection is None else injection.sites[0].loop,
    }


def _words(subject: Subject, trials: Sequence[Trial], keep: Keeping) -> pd.DataFrame:
    """Return the rules grader's verdicts, 1, 0 or NaN: those of the run, or on answers that are drawn now."""
    columns = ["detected", "identified"]
    if subject.run is not None:
        graded = subject.run.trials.set_index("trial").reindex([trial.id for trial in trials])
        chosen = graded[[f"rules_{column}" for column in columns]].astype("float64").to_numpy()
        return pd.DataFrame(chosen, columns=columns)
    size = subject.laboratory.batch_size()
    blocks = [trials[start : start + size] for start in range(0, len(trials), size)]
    keep.begin("batches of injected trials to answer", len(blocks))
    answer = [
        keep.unit(partial(_answered, subject, block), trials=[trial.id for trial in block])["verdicts"]
        for block in blocks
    ]
    return pd.DataFrame(np.concatenate(answer), columns=columns)


def _answered(subject: Subject, trials: Sequence[Trial]) -> dict[str, Array]:
    verdicts = []
    for trial, response in zip(trials, subject.engine.run(trials), strict=True):
        grade = GRADERS["rules"](trial, response) if isinstance(response, Response) else None
        verdicts.append((None, None) if grade is None else (grade.detected, grade.identified))
    return {"verdicts": np.array(verdicts, dtype=np.float64)}


def _difference(engine: Engine, logits: Tensor) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    yes, no = (
        logits.cpu().double()[:, list(tokens)].logsumexp(-1) for tokens in (engine.answers.yes, engine.answers.no)
    )
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = (yes - no).numpy()
    return found


def _named(subject: Subject, logits: Tensor, trials: Sequence[Trial]) -> list[float]:
    """Tell of each trial whether, among the first tokens of all concepts, its own has the highest logit: 1 or 0.

    NaN where another concept begins as its own does: which of them would be named cannot be told.
    """
    words = subject.laboratory.options.words()
    tokens = [subject.engine.answers.first(word) for word in words]
    scores = torch.stack([logits[:, list(each)].logsumexp(-1) for each in tokens], dim=-1)
    told = {word: tokens.count(first) == 1 for word, first in zip(words, tokens, strict=True)}
    best = [words[place] for place in scores.argmax(-1).tolist()]
    return [
        float(word == trial.concept) if told[trial.concept] else math.nan
        for word, trial in zip(best, trials, strict=True)
    ]


def _reachable(engine: Engine, trial: Trial) -> bool:
    try:
        engine.pushes(trial)
    except UnreachableError:
        return False
    return True
