"""Run: what a notebook opens. Reads tables, finds single trials, and opens the vectors and the model of the sweep.

Goes in: the folder of a sweep. A model is loaded only when a trial is run again.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from introspect.errors import InputError
from introspect.experiment.run_trial import RunTrial
from introspect.experiment.spelling import model_of
from introspect.grading import deciders
from introspect.prompts import Prompt, Prompts, Template, render
from introspect.prompts.dates import fix_day, today
from introspect.records.trial import Arm, Trial
from introspect.results.store import queries
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import make_tables, summaries

if TYPE_CHECKING:
    from introspect.concepts.vectors import ConceptVectors
    from introspect.injection.engine.engine import Engine


class Run:
    """An open run, read only."""

    def __init__(self, store: Store, *, model: str | None = None, trust_remote_code: bool = False) -> None:
        self.store, self.folder, self._trusting = store, store.folder, trust_remote_code
        self._moved = model
        self._closed = False

    @classmethod
    def open(cls, folder: str | Path, *, model: str | None = None, trust_remote_code: bool = False) -> Self:
        """Open the folder of a sweep. Raises InputError when it holds no run.

        `model` says where the run's model is now, if a replay would not find it where it was. Whether a replay may run
        the code of its checkpoint is asked anew: a run never says that for itself.
        """
        return cls(Store.open(Path(folder)), model=model, trust_remote_code=trust_remote_code)

    def __repr__(self) -> str:
        """Return folder, model, protocol and the number of answers; of a closed run the folder."""
        if self._closed:
            return f"Run({str(self.folder)!r}: closed)"
        made = self.manifest
        return f"Run({str(self.folder)!r}: {made.get('model')}, {made.get('protocol')}, {self.store.count()} answers)"

    def __enter__(self) -> Self:
        """Return the run itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the run's files."""
        self.close()

    def close(self) -> None:
        """Close the run's files."""
        self._closed = True
        self.store.close()

    def check(self) -> None:
        """Verify the whole store: schema, types, each trial's id against its hash, references, SQLite's own checks.

        Raises InputError naming the first thing that is wrong.
        """
        self.store.check()

    @property
    def manifest(self) -> dict[str, Any]:  # Any: JSON
        """Return the options and hashes that made the run."""
        return self.store.manifest

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Make the tables trials, rates, loops and readouts, as they stand when first asked for."""
        return make_tables(self.store)

    @property
    def trials(self) -> pd.DataFrame:
        """Return one row a trial."""
        return self.tables["trials"]

    @cached_property
    def rates(self) -> pd.DataFrame:
        """Return the rates per cell, as they stand when first asked for; no answer is read."""
        return summaries(self.store)["rates"]

    def trial(self, prefix: str) -> RunTrial:
        """Find a trial by its id or the beginning of it. Raises InputError when none or several begin so."""
        return RunTrial(self, self.store.trial(prefix))

    def templates(self) -> dict[str, Template]:
        """Return the templates as they were when the run was made, by their hashes, that of the doses included."""
        stored = {**self.manifest["templates"], **self.manifest.get("reference", {})}
        return {template_hash: Template(*made) for template_hash, made in stored.items()}

    def prompt(self, trial: Trial) -> Prompt:
        """Return what a trial was asked, as messages with the injection spans marked."""
        return render(self.templates()[trial.template_hash], **dict(trial.variables))

    @cached_property
    def vectors(self) -> "ConceptVectors":
        """Open the run's own concept vectors. Raises InputError unless there is one file of them."""
        from introspect.concepts.vectors import ConceptVectors

        files = list(self.folder.glob("vectors-*.safetensors"))
        if len(files) != 1:
            raise InputError(f"{self.folder}: holds {len(files)} files vectors-*.safetensors, a run has one")
        return ConceptVectors.open(files[0])

    def partner(self, arm: Arm, concept: str) -> str:
        """Return the concept whose vector an arm injects in place of another: that of the stored trials.

        A run without the arm gets the one that it would have been given, but for categories, which it does not keep.
        """
        stored = list(self.store.select(queries.PARTNER, arm, concept))
        if stored:
            return str(stored[0][0])
        from introspect.concepts.partners import drawn_partners, opposites

        words, cosines = self.vectors.words, self.vectors.mean_cosines().numpy()
        made = opposites(words, cosines)
        if arm == "wrong" and self.manifest.get("design", 1) > 1:
            made = drawn_partners(words, cosines, seed=self.manifest["seed"])
        if concept not in made:
            raise InputError(f"concept {concept!r}: the run has no vector of it; it has {', '.join(words[:5])}, ...")
        return made[concept]

    @property
    def states_hash(self) -> str:
        """Return the hash of the states that the arm `swap` draws from. Raises InputError where none were recorded."""
        states = self.vectors.states
        if states is None:
            raise InputError(f"{self.folder}: has no arm swap, so that no states of prompts were recorded for it")
        return states.hash

    @cached_property
    def engine(self) -> "Engine":
        """Load the model, with the run's own vectors. Raises InputError if the model is not the same any more."""
        from introspect.families.loading import load_model
        from introspect.injection.engine.engine import Engine
        from introspect.models.tap import Tap

        manifest = self.manifest
        where = model_of(manifest, self._moved)
        looped = load_model(
            where,
            dtype=manifest["dtype"],
            revision=manifest["revision"],
            trust_remote_code=self._trusting,
            **{name: manifest[name] for name in ("tokenizer", "loop_layers", "loop_step") if name in manifest},
        )
        if looped.weights_hash != manifest["weights_hash"]:
            raise InputError(
                f"model {manifest['model']!r} has weights {looped.weights_hash}; "
                f"the run was made with {manifest['weights_hash']}"
            )
        looped.name = manifest["model"] + looped.name.removeprefix(where)  # as its trials call it
        fix_day(looped.tokenizer, manifest.get("date") or today())
        prompts = Prompts(self.templates().values(), looped.tokenizer)
        return Engine(Tap(looped), prompts, self.vectors, deciders())
