"""Injected trials and their controls: what the model says of them, in words and in logits, and what its states are.

Goes in: the trials of a run, or those that a sweep with the same options would run. Comes out: Seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from introspect.analyses.monitor.asking import States
from introspect.analyses.subject import Subject
from introspect.analyses.walking import alike, walk_trials
from introspect.errors import InputError
from introspect.grading import GRADERS
from introspect.injection.engine import Engine
from introspect.injection.guards import UnreachableError
from introspect.records import Arm, Response, Site, Trial
from introspect.results.statistics.clusters import MIN_CONCEPTS

ARMS: tuple[Arm, ...] = ("injected", "none", "random")
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
    """Give the injected trials and their controls of the most loops run. Raises InputError where they do not do."""
    arms = [arm for arm in ARMS if arm in subject.laboratory.options.chosen_arms()]
    found = subject.trials(arms, QUESTION)
    where = "the options" if subject.run is None else str(subject.run.folder)
    for arm in ("injected", "random"):
        if not any(trial.arm == arm for trial in found):
            raise InputError(f"{where}: no trials of arm {arm!r} and question {QUESTION!r}; a monitor needs both")
    concepts = len({trial.concept for trial in found})
    if concepts < MIN_CONCEPTS:
        raise InputError(f"{where}: {concepts} concepts; to split them, at least {MIN_CONCEPTS} are needed")
    most = max(trial.n_loops for trial in found)
    return [trial for trial in found if trial.n_loops == most and _reachable(subject.engine, trial)]


def see(subject: Subject, layers: Sequence[int], *, size: int) -> Seen:
    """Run the prompts of the trials, and take the words of the run, or have them said."""
    trials, looped = injected_trials(subject), subject.tap.looped
    n_loops, last = trials[0].n_loops, looped.n_layers - 1
    sites = [Site(loop, layer) for loop in range(n_loops) for layer in sorted({*layers, last})]
    states = States(sites, len(trials), looped.d_model)
    place = {trial.id: row for row, trial in enumerate(trials)}
    differences, named = np.zeros((n_loops, len(trials))), np.zeros(len(trials))
    for batch in alike(trials, size):
        rows, ends = [place[trial.id] for trial in batch], dict[int, Tensor]()

        def look(site: Site, h: Tensor, rows: Sequence[int] = rows, ends: dict[int, Tensor] = ends) -> None:
            states.put(site, rows, h[:, -1])
            if site.layer == last:
                ends[site.loop] = (h if looped.coda else h[:, -1:]).clone()

        final = walk_trials(subject.engine, batch, look, sites=sites)
        with torch.inference_mode():
            said = [looped.readout(ends[loop], loop=loop, n_loops=n_loops)[:, -1] for loop in range(n_loops - 1)]
        for loop, logits in enumerate([*said, final]):
            differences[loop, rows] = _difference(subject.engine, logits)
        named[rows] = _named(subject, final, batch)
    frame = pd.DataFrame(map(_about, trials)).assign(named=named)
    frame = frame.assign(**{f"logit-{loop}": differences[loop] for loop in range(n_loops)})
    return Seen(frame.join(_words(subject, trials)), states, range(n_loops), tuple(layers))


def _about(trial: Trial) -> dict[str, object]:
    injection = trial.injection
    return {
        "concept": trial.concept,
        "arm": trial.arm,
        "wording": str(trial.variables),
        "strength": np.nan if injection is None else injection.strength,
        "loop": np.nan if injection is None else injection.sites[0].loop,
    }


def _words(subject: Subject, trials: Sequence[Trial]) -> pd.DataFrame:
    """Give the rules grader's verdicts, 1, 0 or NaN: those of the run, or on answers that are drawn now."""
    if subject.run is not None:
        graded = subject.run.trials.set_index("trial").reindex([trial.id for trial in trials])
        chosen = graded[["rules_detected", "rules_identified"]].astype("float64").to_numpy()
        return pd.DataFrame(chosen, columns=["detected", "identified"])
    verdicts = []
    for trial, response in zip(trials, subject.engine.run(trials, subject.laboratory.batch_size()), strict=True):
        grade = GRADERS["rules"](trial, response) if isinstance(response, Response) else None
        verdicts.append((None, None) if grade is None else (grade.detected, grade.identified))
    return pd.DataFrame(verdicts, columns=["detected", "identified"]).astype("float64")


def _difference(engine: Engine, logits: Tensor) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    yes, no = (
        logits.cpu().double()[:, list(tokens)].logsumexp(-1) for tokens in (engine.answers.yes, engine.answers.no)
    )
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = (yes - no).numpy()
    return found


def _named(subject: Subject, logits: Tensor, trials: Sequence[Trial]) -> list[bool]:
    """Tell of each trial whether, among the first tokens of all concepts, its own has the highest logit."""
    words = subject.laboratory.options.words()
    tokens = [list(subject.engine.answers.first(word)) for word in words]
    scores = torch.stack([logits[:, each].logsumexp(-1) for each in tokens], dim=-1)
    return [words[best] == trial.concept for best, trial in zip(scores.argmax(-1).tolist(), trials, strict=True)]


def _reachable(engine: Engine, trial: Trial) -> bool:
    try:
        engine.pushes(trial)
    except UnreachableError:
        return False
    return True
