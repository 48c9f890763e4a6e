"""A model made ready for trials: loaded, tapped, with its concept vectors and an engine.

Goes in: the options of a sweep. Come out: the grid they span on this model, and what runs its trials.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from introspect.concepts.contrast_prompts import Contrast
from introspect.concepts.extraction import cached, manifest_of, measure, record_states, states_manifest
from introspect.concepts.vectors import ConceptVectors
from introspect.experiment.design_version import DESIGN, partners_by, reference_of, sampling_by
from introspect.experiment.laboratory.grid_of_options import grid_of
from introspect.experiment.laboratory.prompts import first_prompts
from introspect.experiment.options import Options
from introspect.experiment.spelling import found_at
from introspect.families.placement import dtype_name
from introspect.grading import deciders
from introspect.injection.engine.block_stream import BLOCK, Result
from introspect.injection.engine.engine import Engine
from introspect.injection.engine.pace import Pace, block_size
from introspect.injection.plan.grid import Grid
from introspect.injection.plan.plan import Plan, plan
from introspect.injection.prefix.memory import MOST_ROWS, bytes_per_row, rows_that_fit
from introspect.models.tap import Tap
from introspect.prompts import Prompts, Template
from introspect.records.trial import Site, Trial


@dataclass(frozen=True)
class Laboratory:
    """A model, the options, and all that follows from both."""

    options: Options
    tap: Tap
    prompts: Prompts
    """The prompts of all questions, in the model's tokens."""
    contrast: Contrast
    design: int = DESIGN
    """Rules by which the trials are laid out; a run keeps those that it was begun with."""

    @property
    def totals(self) -> tuple[int, ...]:
        """Return the numbers of loops that are run, without those that follow an injection."""
        return self.options.totals(self.tap.looped.n_loops)

    @property
    def dtype(self) -> str:
        """Return the number format of the weights."""
        return dtype_name(self.tap.looped.dtype)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Return the sites that were chosen."""
        return self.options.sites(max(self.totals), self.tap.looped.layers)

    @cached_property
    def vectors_manifest(self) -> dict[str, Any]:
        """Say what makes the concept vectors, as plain JSON."""
        return manifest_of(self.tap, self.contrast, n_loops=max(self.totals))

    @cached_property
    def states_manifest(self) -> dict[str, Any] | None:
        """Say what makes the states of prompts, as plain JSON; None where no arm needs them."""
        return states_manifest(self.tap, n_loops=max(self.totals)) if "swap" in self.options.chosen_arms() else None

    @property
    def reference(self) -> Template | None:
        """Return the template on which doses in nats are measured; None where there are none."""
        return reference_of(self.design, self.options)

    @property
    def dates(self) -> dict[str, str]:
        """Return the day that the chat format writes into the prompts of each template, by its hash."""
        first_prompts(self.options, self.prompts)
        return {template: encoded.date for (template, _), encoded in self.prompts.items() if encoded.date is not None}

    def manifest(self) -> dict[str, Any]:
        """Say all that decides what the run contains, as plain JSON."""
        return {
            **self.options.identity(),
            "dtype": self.dtype,
            "weights_hash": self.tap.looped.weights_hash,
            "totals": list(self.totals),
            "n_layers": self.tap.looped.layers,
            "sites": [str(site) for site in self.sites],
            "vectors": self.vectors_manifest,
            **({} if self.states_manifest is None else {"states": self.states_manifest}),
            **found_at(self.options),
            **({} if self.design == 1 else {"design": self.design}),
            **({} if (text := self.reference) is None else {"reference": {text.hash: [text.name, text.source]}}),
        }

    def vectors(self, folder: Path | None = None) -> ConceptVectors:
        """Make the concept vectors, with the states of prompts for `swap`, or reopen those kept in the folder."""
        if folder is None:
            return self._measured()
        return cached(folder, self.vectors_manifest, self._measured, self.states_manifest)

    def grid(self, vectors: ConceptVectors) -> Grid:
        """Cross everything with everything; InputError for a number of loops that the model cannot run."""
        looped = self.tap.looped
        grid = grid_of(
            self.options,
            model=looped.name,
            weights_hash=looped.weights_hash,
            dtype=self.dtype,
            totals=self.totals,
            layers=looped.layers,
            vectors_hash=vectors.hash,
            states_hash=None if vectors.states is None else vectors.states.hash,
            vector_loops=vectors.n_loops,
            partners=partners_by(self.design, self.options, vectors),
            offers_partners=self.design > 1,
            aligned=self.design > 1,
            sampling=sampling_by(self.design, self.options),
            reference=None if self.reference is None else self.reference.hash,
            dates=self.dates,
        )
        for n_loops in grid.loops_run():
            looped.forward_arguments(n_loops)
        return grid

    def plan(self, vectors: ConceptVectors) -> Plan:
        """Return every trial of the options on this model, injections and controls, in the order of a sweep."""
        return plan(self.grid(vectors))

    def run(self, trials: Iterable[Trial], vectors: ConceptVectors) -> list[Result]:
        """Return each trial with its response, or with the failure that says why it has none, in their order.

        Nothing is stored. Raises InputError for a trial of another model, other vectors or an unknown prompt.
        """
        asked = list(trials)
        return list(zip(asked, self.engine(vectors).run(asked, self.batch_size()), strict=True))

    def engine(self, vectors: ConceptVectors) -> Engine:
        """Make what runs the trials."""
        return Engine(self.tap, self.prompts, vectors, deciders(), self.options.steps())

    def row_bytes(self) -> int:
        """Estimate the memory of one row of a batch, in bytes: the most that one of the questions takes."""
        sizes = (
            bytes_per_row(self.tap.looped, encoded, n_loops=self._most_loops, max_new_tokens=longest)
            for encoded, longest in first_prompts(self.options, self.prompts)
        )
        return max(sizes)

    def batch_size(self, sharing: int = 1) -> int:
        """Return the rows of a batch: as asked for, or as many as fit when so many workers share the memory.

        Raises InputError when not even one row fits.
        """
        fitting = rows_that_fit(self.tap.looped, self.row_bytes(), most=sharing * MOST_ROWS)
        return self.options.batch_size or max(1, fitting // sharing)

    def pace(self, rows: int, sharing: int = 1) -> Pace:
        """Say how many trials make a block, so that the slowest question's takes seconds on this machine.

        With Ray nothing is known of the machines that will run them: then it is as many as a block may have.
        """
        if self.options.ray is not None:
            return Pace(BLOCK * rows)
        how = {"n_loops": self._most_loops, "rows": rows, "sharing": sharing}
        asked = first_prompts(self.options, self.prompts)
        return Pace(min(block_size(self.tap.looped, each, max_new_tokens=longest, **how) for each, longest in asked))

    def _measured(self) -> ConceptVectors:
        vectors = measure(self.tap, self.contrast, n_loops=max(self.totals))
        if self.states_manifest is None:
            return vectors
        return replace(vectors, states=record_states(self.tap, n_loops=max(self.totals)))

    @property
    def _most_loops(self) -> int:
        return max(self.totals) + (self.options.remaining_loops or 0)
