"""A model made ready for trials: loaded, tapped, with its concept vectors and an engine.

Goes in: the options of a sweep. Come out: the grid they span on this model, and what runs its trials.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from introspect.concepts.contrasts import Contrast
from introspect.concepts.extraction import cached, manifest_of, measure
from introspect.concepts.vectors import ConceptVectors
from introspect.grading import deciders
from introspect.injection.answers import AnswerTokens
from introspect.injection.engine import Engine
from introspect.injection.grid import Grid
from introspect.injection.memory import MOST_ROWS, bytes_per_row, rows_that_fit
from introspect.injection.pace import Pace, block_size
from introspect.injection.stream import BLOCK
from introspect.models.loading import load_model, peek
from introspect.models.placement import device_named, dtype_named
from introspect.models.tap import Tap
from introspect.options import Options
from introspect.prompts import Encoded, Prompts
from introspect.protocols import Occasion
from introspect.records import Site
from introspect.results.store import Store


@dataclass(frozen=True)
class Laboratory:
    """A model, the options, and all that follows from both."""

    options: Options
    tap: Tap
    prompts: Prompts
    """The prompts of all questions, in the model's tokens."""
    contrast: Contrast

    @property
    def totals(self) -> tuple[int, ...]:
        """Give the numbers of loops that are run, without those that follow an injection."""
        return self.options.totals(self.tap.looped.n_loops)

    @property
    def dtype(self) -> str:
        """Give the number format of the weights."""
        return _name(self.tap.looped.dtype)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Give the sites that were chosen."""
        return self.options.sites(max(self.totals), self.tap.looped.layers)

    @cached_property
    def vectors_manifest(self) -> dict[str, Any]:
        """Say what makes the concept vectors, as plain JSON."""
        return manifest_of(self.tap, self.contrast, n_loops=max(self.totals))

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
        }

    def vectors(self, folder: Path | None = None) -> ConceptVectors:
        """Make the concept vectors, or reopen those that are kept in the folder."""
        make = partial(measure, self.tap, self.contrast, n_loops=max(self.totals))
        return make() if folder is None else cached(folder, self.vectors_manifest, make)

    def grid(self, vectors: ConceptVectors) -> Grid:
        """Cross everything with everything; InputError for a number of loops that the model cannot run."""
        grid = Grid(
            model=self.tap.looped.name,
            weights_hash=self.tap.looped.weights_hash,
            dtype=self.dtype,
            protocol=self.options.protocol,
            variants=tuple(variant for variant, _ in self.options.variants()),
            totals=self.totals,
            remaining=self.options.remaining_loops,
            layers=self.tap.looped.layers,
            concepts=self.options.words(),
            sites=self.sites,
            strengths=self.options.strength_values(),
            vectors_hash=vectors.hash,
            vector_loops=vectors.n_loops,
            mode=self.options.mode(),
            split_dose=self.options.split_dose,
            arms=self.options.chosen_arms(),
            partners=vectors.partners() if "wrong" in self.options.chosen_arms() else {},
            extract_loops=self.options.extract_loops(max(self.totals)),
            unit=self.options.unit(),
            numbers=self.options.numbers(),
            repeats=self.options.repeats,
            seed=self.options.seed,
            sampling=self.options.sampling,
        )
        for n_loops in grid.loops_run():
            self.tap.looped.forward_arguments(n_loops)
        return grid

    def engine(self, vectors: ConceptVectors) -> Engine:
        """Make what runs the trials."""
        return Engine(self.tap, self.prompts, vectors, deciders())

    def row_bytes(self) -> int:
        """Estimate the memory of one row of a batch, in bytes: the most that one of the questions takes."""
        sizes = (
            bytes_per_row(self.tap.looped, encoded, n_loops=self._most_loops, max_new_tokens=longest)
            for encoded, longest in first_prompts(self.options, self.prompts)
        )
        return max(sizes)

    def batch_size(self, sharing: int = 1) -> int:
        """Give the rows of a batch: as asked for, or as many as fit when so many workers share the memory.

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

    @property
    def _most_loops(self) -> int:
        return max(self.totals) + (self.options.remaining_loops or 0)


def open_laboratory(options: Options, *, for_run: bool = True) -> Laboratory:
    """Load the model, after checking without its weights what can be checked without them, the run's folder last.

    Without `for_run` nothing is going to be stored, and the folder is not looked at.
    """
    dtype = dtype_named(options.dtype, device_named(options.device))
    outline = peek(options.model, **options.source)
    totals = options.totals(outline.n_loops)
    for total in totals:
        outline.check_loops(total)
    n_loops = max(totals)
    options.sites(n_loops, outline.layers)
    options.extract_loops(n_loops)
    contrast = options.chosen_contrast()
    prompts = Prompts([template for _, template in options.variants()], outline.tokenizer)
    first_prompts(options, prompts)
    AnswerTokens(outline.tokenizer)
    if for_run:
        Store.refuse_other(options.folder, {**options.identity(), "dtype": _name(dtype)})
    looped = load_model(options.model, device=options.device, dtype=options.dtype, **options.source)
    looped.exit_arguments(options.exit)
    return Laboratory(options, Tap(looped), prompts, contrast)


def first_prompts(options: Options, prompts: Prompts) -> list[tuple[Encoded, int]]:
    """Give the prompt of every question for the first concept, made and checked, and the tokens of a longest answer."""
    words, most = options.words(), options.max_new_tokens
    occasion = Occasion(words[0], words, 0, options.numbers()[0])
    return [
        (
            prompts[variant.template_hash, tuple(sorted(asked.variables.items()))],
            min(most, variant.question.max_new_tokens or most),
        )
        for variant, _ in options.variants()
        for asked in variant.question.ask(occasion)
    ]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
