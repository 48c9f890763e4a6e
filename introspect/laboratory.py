"""A model made ready for trials: loaded, tapped, with its concept vectors and an engine.

Goes in: the options of a sweep. Come out: the grid they span on this model, and what runs its trials.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from introspect.concepts.contrasts import Contrast, baseline_contrast, pair_contrast
from introspect.concepts.extraction import cached, manifest_of, measure
from introspect.concepts.pairs import load_pairs
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.injection.engine import Engine
from introspect.injection.grid import Grid
from introspect.injection.memory import bytes_per_row, rows_that_fit
from introspect.models.loading import load_model
from introspect.models.tap import Tap
from introspect.options import PROTOCOL, Options
from introspect.prompts import encode, render
from introspect.records import Site
from introspect.selection import select


@dataclass(frozen=True)
class Laboratory:
    """A model, the options, and all that follows from both."""

    options: Options
    tap: Tap
    contrast: Contrast

    @property
    def n_loops(self) -> int:
        """Give the loops run in every forward."""
        return self.options.total_loops or self.tap.looped.n_loops

    @property
    def dtype(self) -> str:
        """Give the number format of the weights."""
        return str(self.tap.looped.dtype).removeprefix("torch.")

    def sites(self) -> tuple[Site, ...]:
        """Give the sites that were chosen."""
        loops = select(self.options.loops, self.n_loops, option="loops")
        layers = select(self.options.layers, self.tap.looped.n_layers, option="layers")
        return tuple(Site(loop, layer) for loop in loops for layer in layers)

    def extract_loops(self) -> tuple[int | None, ...]:
        """Give the loops whose vectors are injected; None is the loop of each site."""
        if self.options.extract == "same":
            return (None,)
        return tuple(select(self.options.extract, self.n_loops, option="extract"))

    def manifest(self) -> dict[str, Any]:
        """Say all that decides what the run contains, as plain JSON."""
        template = self.options.chosen_template()
        return {
            **self.options.identity(),
            "dtype": self.dtype,
            "weights_hash": self.tap.looped.weights_hash,
            "template_hash": template.hash,
            "template_source": template.source,
            "n_loops": self.n_loops,
            "n_layers": self.tap.looped.n_layers,
            "sites": [str(site) for site in self.sites()],
            "vectors": manifest_of(self.tap, self.contrast, n_loops=self.n_loops),
        }

    def vectors(self, folder: Path | None = None) -> ConceptVectors:
        """Make the concept vectors, or reopen those that are kept in the folder."""
        make = lambda: measure(self.tap, self.contrast, n_loops=self.n_loops)  # noqa: E731
        return make() if folder is None else cached(folder, self.manifest()["vectors"], make)

    def grid(self, vectors: ConceptVectors) -> Grid:
        """Cross everything with everything."""
        template = self.options.chosen_template()
        return Grid(
            model=self.options.model,
            weights_hash=self.tap.looped.weights_hash,
            dtype=self.dtype,
            protocol=PROTOCOL,
            template=template.name,
            template_hash=template.hash,
            n_loops=self.n_loops,
            n_layers=self.tap.looped.n_layers,
            concepts=self.contrast.words,
            sites=self.sites(),
            strengths=tuple(self.options.strength_values()),
            vectors_hash=vectors.hash,
            vector_loops=vectors.n_loops,
            mode=self.options.inject,  # type: ignore[arg-type]  # the grid checks it
            arms=self.options.chosen_arms(),
            extract_loops=self.extract_loops(),
            unit=self.options.strength_unit,  # type: ignore[arg-type]  # the grid checks it
            repeats=self.options.repeats,
            seed=self.options.seed,
            sampling=self.options.sampling,
        )

    def engine(self, vectors: ConceptVectors) -> Engine:
        """Make what runs the trials."""
        template = self.options.chosen_template()
        return Engine(self.tap, {template.hash: encode(render(template), self.tap.looped.tokenizer)}, vectors)

    def row_bytes(self) -> int:
        """Estimate the memory of one row of a batch, in bytes."""
        encoded = encode(render(self.options.chosen_template()), self.tap.looped.tokenizer)
        tokens = self.options.max_new_tokens
        return bytes_per_row(self.tap.looped, encoded, n_loops=self.n_loops, max_new_tokens=tokens)

    def batch_size(self) -> int:
        """Give the rows of a batch: as asked for, or as many as fit. Raises InputError when not even one does."""
        fitting = rows_that_fit(self.tap.looped, self.row_bytes())
        return self.options.batch_size or fitting


def open_laboratory(options: Options) -> Laboratory:
    """Load the model and check what can only be checked with it."""
    contrast = _contrast(options)
    looped = load_model(options.model, device=options.device, dtype=options.dtype, revision=options.revision)
    laboratory = Laboratory(options, Tap(looped), contrast)
    laboratory.sites(), laboratory.extract_loops()
    encode(render(options.chosen_template()), looped.tokenizer)
    return laboratory


def _contrast(options: Options) -> Contrast:
    concepts, chosen = options.chosen_concepts()
    if options.contrast == "baseline":
        return baseline_contrast(chosen.words, concepts.baseline.words)
    if options.contrast == "pairs":
        return pair_contrast(chosen.words, load_pairs(options.pairs))
    raise InputError(f"unknown contrast {options.contrast!r}; known: baseline, pairs")


def batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Cut a stream into lists of a size, the last one shorter."""
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
