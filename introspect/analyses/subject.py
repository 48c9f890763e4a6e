"""What an analysis is about: a model with its concept vectors and trials, alone or as a run has them.

Goes in: the options of a sweep, or the folder of a run. Comes out: all that analyses share.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from introspect.analyses.analysis import FOLDER
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.experiment.laboratory import Laboratory, open_laboratory
from introspect.experiment.options import Options
from introspect.experiment.run import Run
from introspect.experiment.spelling import model_of
from introspect.injection.engine.engine import Engine
from introspect.injection.plan.plan import plan
from introspect.models.tap import Tap
from introspect.records.trial import Arm, Trial
from introspect.results.store.folder import refuse_file

Each = TypeVar("Each")


@dataclass(frozen=True)
class Subject:
    """A model that is ready, the vectors and trials of the options, and the run that they are of, if any."""

    laboratory: Laboratory
    run: Run | None
    most_concepts: int | None = None
    """Concepts whose trials are looked at, spread evenly over all; None: every one."""

    @property
    def tap(self) -> Tap:
        """Return access to the model."""
        return self.laboratory.tap

    @cached_property
    def vectors(self) -> ConceptVectors:
        """Return the concept vectors, those of the run where there is one."""
        return self.laboratory.vectors(None if self.run is None else self.run.folder)

    @cached_property
    def engine(self) -> Engine:
        """Make what knows how each trial is injected."""
        return self.laboratory.engine(self.vectors)

    def trials(self, arms: Sequence[Arm], question: str = "detect") -> list[Trial]:
        """List the planned trials of these arms and one question, as a sweep with these options would run them."""
        planned, words = plan(self.laboratory.grid(self.vectors)), self.laboratory.options.words()
        chosen = set(spread(words, self.most_concepts))
        found = (trial for trial in planned if trial.arm in arms and trial.question == question)
        return [trial for trial in found if trial.concept in chosen]

    @property
    def made_with(self) -> dict[str, Any]:
        """Say what decides what comes out, as plain JSON."""
        looped, day = self.tap.looped, self.laboratory.options.date
        made = {"model": looped.name, "weights_hash": looped.weights_hash, "dtype": self.laboratory.dtype}
        return made if day is None else {**made, "date": day}


def open_subject(options: Options, run: str | Path | None = None, *, most_concepts: int | None = None) -> Subject:
    """Load the model of the options, or that of a run with the run's options. Raises InputError for bad input."""
    if run is None:
        return Subject(open_laboratory(options, for_run=False), None, most_concepts)
    opened = Run.open(run)
    manifest = opened.manifest
    made = {each.name: manifest[each.name] for each in fields(Options) if each.name in manifest}
    listed = {name: ",".join(map(str, value)) for name, value in made.items() if isinstance(value, list)}
    names = ("device", "batch_size", "trust_remote_code")
    elsewhere = {**{name: getattr(options, name) for name in names}, "out": opened.folder}
    elsewhere["model"] = where = model_of(manifest)
    asked, design = Options(**(made | listed | elsewhere)), manifest.get("design", 1)
    laboratory = open_laboratory(asked, for_run=False, design=design)
    looped = laboratory.tap.looped
    looped.name, found = manifest["model"] + looped.name.removeprefix(where), looped.weights_hash
    if found != manifest["weights_hash"]:
        raise InputError(
            f"model {manifest['model']!r} has weights {found}; the run was made with {manifest['weights_hash']}"
        )
    return Subject(laboratory, opened, most_concepts)


def spread(of: Sequence[Each], most: int | None) -> list[Each]:
    """Return at most so many, spread evenly over all, in their order; None: all."""
    if most is None or len(of) <= most:
        return list(of)
    return [of[index * len(of) // most] for index in range(most)]


def folder_of(name: str, options: Options, run: Path | None, out: Path | None) -> Path:
    """Return where an analysis is written: `out`, the folder of the run, or one under runs/.

    Raises InputError where that is a file: it is asked before the work.
    """
    beside = run / FOLDER / name if run is not None else Path("runs") / f"{options.model_name}-{name}"
    folder = beside if out is None else out
    refuse_file(folder)
    return folder
