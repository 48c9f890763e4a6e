"""Run: what a notebook opens. Reads tables, finds single trials, and runs them again as they were or with a change.

Goes in: the folder of a sweep. A model is loaded only when a trial is run again.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import pandas as pd

from introspect.errors import InputError
from introspect.experiment.spelling import model_of
from introspect.experiment.variation import changed
from introspect.grading import GRADERS, deciders, grader_named
from introspect.prompts import Prompt, Prompts, Template, render
from introspect.prompts.dates import fix_day, today
from introspect.records.trial import ARMS, OF_ANOTHER, Arm, Grade, Response, Trial
from introspect.results.store import queries
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import make_tables, summaries
from introspect.selection import one_of

if TYPE_CHECKING:
    from torch import Tensor

    from introspect.concepts.vectors import ConceptVectors
    from introspect.injection.engine.engine import Engine

Record = Literal["residual"]
RECORDS: tuple[Record, ...] = ("residual",)


@dataclass(frozen=True)
class Replay:
    """A trial that was run again."""

    trial: Trial
    response: Response
    grades: list[Grade]
    residual: "Tensor | None"
    """`(n_loops, n_layers, token, d_model)`: the stream after every block, for the prompt and then the answer."""

    @property
    def text(self) -> str:
        """Return what the model wrote."""
        return self.response.text


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

    def trial(self, prefix: str) -> "RunTrial":
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


class RunTrial:
    """A stored trial, with its response and grades."""

    def __init__(self, run: Run, record: Trial) -> None:
        self.run, self.record = run, record

    def __repr__(self) -> str:
        """Return the id, the arm and what is asked about which concept."""
        one = self.record
        where = "" if one.injection is None else f" at {', '.join(map(str, one.injection.sites))}"
        return f"RunTrial({one.id}: {one.question}, {one.arm} {one.concept}{where})"

    @property
    def id(self) -> str:
        """Return the trial's id."""
        return self.record.id

    @cached_property
    def response(self) -> Response:
        """Return the stored response. Raises InputError when the trial failed."""
        return self.run.store.response(self.id)

    @property
    def text(self) -> str:
        """Return the stored answer."""
        return self.response.text

    @property
    def grades(self) -> list[Grade]:
        """Return the stored grades, one a grader."""
        return self.run.store.grades(self.id)

    def control(self, arm: Arm = "none") -> "RunTrial":
        """Find the trial that this one is paired with: same concept, repeat and draws, another arm.

        Raises InputError when the run has none.
        """
        one_of(arm, ARMS, kind="arm")
        try:
            return RunTrial(self.run, self.run.store.trial(self._changed(arm=arm).id))
        except InputError:
            where = f"trial {self.id}, arm {self.record.arm!r}"
            raise InputError(f"{self.run.folder}: holds no trial of arm {arm!r} that is paired with {where}") from None

    def _changed(self, **changes: Any) -> Trial:  # Any: fields of three records
        """Return the trial with changes, and with what an arm needs of the run: its partner, or the states it swaps."""
        if changes.get("arm") in OF_ANOTHER and "partner" not in changes:
            changes["partner"] = self.run.partner(changes["arm"], changes.get("concept", self.record.concept))
        if changes.get("arm") == "swap":
            changes.setdefault("states", self.run.states_hash)
        return changed(self.record, **changes)

    def replay(self, *, record: Record | None = None, **changes: Any) -> Replay:  # Any: any field of three records
        """Run the trial again, as it was or with changes.

        Changes are named as in the table: `strength`, `loop` and `layer`, `sites`, `arm`, `extract_loop`, `concept`,
        `seed`, `n_loops`, `temperature`, ... `record="residual"` adds the residual stream at every (loop, layer).
        Raises InputError for a change that there is not, and RuntimeError when the changed trial gives no response.
        """
        from introspect.injection.engine.recording import record_residual

        if record is not None:
            one_of(record, RECORDS, kind="record")
        trial = self._changed(**changes)
        engine = self.run.engine
        (response,) = engine.run([trial])
        if not isinstance(response, Response):
            raise RuntimeError(response.message)
        grades = [grader_named(name)(trial, response) for name in GRADERS]
        residual = record_residual(engine, trial, response) if record == "residual" else None
        return Replay(trial, response, grades, residual)
