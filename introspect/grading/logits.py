"""The logit grader: which answer outweighs the others at the first answer token, read after the last loop.

It says nothing about what the answer names, whether it reads well, or whether it refuses: those stay unknown.
"""

import math
from dataclasses import dataclass

from introspect.grading.picking import is_correct
from introspect.grading.source_hash import content_version
from introspect.protocols import WRITTEN, kind_of
from introspect.records.response import WHOLE_WORDS, Grade, Readout, Response
from introspect.records.trial import Trial

LEAST_MASS = 0.1
"""Least probability of yes and no together; below it the model was about to say something else, and the sign of the
difference is noise."""


@dataclass(frozen=True)
class LogitGrader:
    """Grade the last read-out: detected when logit(yes) - logit(no) is above zero."""

    name: str = "logits"
    reads_words: bool = False

    @property
    def version(self) -> str:
        """Return the hash of this module."""
        return content_version("logits", "picking")

    def __call__(self, trial: Trial, response: Response) -> Grade:
        """Grade one response; everything but `detected` is unknown."""
        kind = kind_of(trial.question)
        if kind in ("silent", *WRITTEN):
            evidence = "the first token says nothing here"
            return Grade(trial.id, self.name, self.version, None, None, None, None, evidence)
        if trial.options:
            answer, evidence = _option(trial.options, response)
        else:
            yes, evidence = _detected(response.readouts)
            answer = {True: "yes", False: "no", None: None}[yes]
        detected = answer == "yes" if answer is not None and kind == "noticing" else None
        verdicts = (detected, None, None, None)
        return Grade(trial.id, self.name, self.version, *verdicts, evidence, answer, is_correct(trial, answer))

    def decided(self, trial: Trial, text: str) -> bool:  # noqa: ARG002  # the same for every answer
        """Say yes at once: the read-outs precede the answer, and nothing else is read."""
        return True


def _option(options: tuple[str, ...], response: Response) -> tuple[str | None, str]:
    """Return the most probable option, by its first token or, where those collide, as a whole word."""
    if not response.readouts:
        return None, "no read-outs were recorded"
    last = max(response.readouts, key=lambda readout: readout.loop)
    ranked = sorted(zip(last.options, options, strict=True), reverse=True)
    mass = sum(map(math.exp, set(last.options)))  # older runs have the same number twice for one first token
    whole = any(measure.name == WHOLE_WORDS for measure in response.measures)
    shares = ", ".join(f"{name} {math.exp(log_p):.3f}" for log_p, name in ranked)
    numbers = f"loop {last.loop}{', whole words' if whole else ''}: {shares}"
    if not mass >= LEAST_MASS:
        return None, f"{numbers}; together below the floor of {LEAST_MASS}"
    if ranked[0][0] == ranked[1][0]:
        return None, f"{numbers}: a tie"
    return ranked[0][1], numbers


def _detected(readouts: tuple[Readout, ...]) -> tuple[bool | None, str]:
    if not readouts:
        return None, "no read-outs were recorded"
    last = max(readouts, key=lambda readout: readout.loop)
    difference = last.logit_yes - last.logit_no
    numbers = (
        f"loop {last.loop}: logit(yes) - logit(no) = {last.logit_yes:.3f} - {last.logit_no:.3f} = {difference:.3f}, "
        f"probability of either {last.mass:.3f}"
    )
    if not last.mass >= LEAST_MASS:
        return None, f"{numbers}, below the floor of {LEAST_MASS}"
    if difference != difference:
        return None, f"{numbers}: not a number"
    return difference > 0, numbers
