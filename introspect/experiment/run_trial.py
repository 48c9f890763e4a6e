"""One trial of a run, as a notebook follows it up: what was answered, its pair, and the same run again or changed.

Goes in: an open Run and a trial's record. Comes out: what is stored of it, or a Replay.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from introspect.errors import InputError
from introspect.experiment.variation import changed
from introspect.grading import GRADERS, grader_named
from introspect.records.response import Grade, Response
from introspect.records.trial import ARMS, OF_ANOTHER, Arm, Trial
from introspect.selection import one_of

if TYPE_CHECKING:
    from torch import Tensor

    from introspect.experiment.run import Run

Record = Literal["residual"]
RECORDS: tuple[Record, ...] = ("residual",)


@dataclass(frozen=True, repr=False)
class Replay:
    """A trial that was run again."""

    trial: Trial
    response: Response
    grades: list[Grade]
    residual: "Tensor | None"
    """`(n_loops, n_layers, token, d_model)`: the stream after every block, for the prompt and then the answer."""

    def __repr__(self) -> str:
        """Return the trial's id and what the model wrote."""
        return f"Replay({self.trial.id}: {self.text!r})"

    @property
    def text(self) -> str:
        """Return what the model wrote."""
        return self.response.text


class RunTrial:
    """A stored trial, with its response and grades."""

    def __init__(self, run: "Run", record: Trial) -> None:
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
