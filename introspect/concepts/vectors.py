"""Concept vectors over every site, saved as one safetensors file with the manifest of what made them."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from introspect.concepts.prompt_states import PromptStates
from introspect.concepts.sets import unknown_concept
from introspect.errors import InputError
from introspect.letters import one_spelling
from introspect.records.site import LOOP_OF
from introspect.records.trial import Site
from introspect.whole_files import replacing

FORMAT = "introspect concept vectors 2"


@dataclass(frozen=True, eq=False)
class ConceptVectors:
    """The contrast of activations for some concepts at every site."""

    words: tuple[str, ...]
    values: Tensor
    """`(concept, loop, layer, d_model)`, float32, on the CPU, as extracted: neither centred nor scaled."""
    manifest: dict[str, Any]
    """What made them: method, template, words, model, weights hash, loops, number format. Plain JSON."""
    outside: dict[str, Tensor] = field(default_factory=dict)
    """The same for the blocks of the prelude and the coda, `(concept, layer, d_model)`, where the model has them."""
    states: PromptStates | None = None
    """States of neutral prompts at the same sites, recorded for the arm `swap`; no part of the vectors' hash."""

    def __post_init__(self) -> None:
        """Check shapes and number format."""
        assert self.values.ndim == 4, self.values.shape
        for name, values in self._parts.items():
            assert values.shape[0] == len(self.words), (name, values.shape, len(self.words))
            assert values.dtype == torch.float32, (name, values.dtype)
            assert values.device.type == "cpu", (name, values.device)
        if self.states is not None:
            assert self.states.values.shape[1:] == self.values.shape[1:], (self.states.values.shape, self.values.shape)

    def __repr__(self) -> str:
        """Return the counts of the axes, and no numbers."""
        concepts, loops, layers, size = self.values.shape
        outside = "".join(f", {name} {values.shape[1]}" for name, values in self.outside.items())
        return f"ConceptVectors({concepts} concepts, {loops} loops, {layers} layers, d_model {size}{outside})"

    @cached_property
    def hash(self) -> str:
        """Return 16 hex digits of the SHA-256 of words, manifest and values."""
        shapes = {name: list(values.shape) for name, values in self._parts.items()}
        head = json.dumps([self.words, self.manifest, shapes], sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(head.encode())
        for values in self._parts.values():
            digest.update(values.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def n_loops(self) -> int:
        """Return the number of loops at which there are vectors."""
        return self.values.shape[1]

    @property
    def n_layers(self) -> int:
        """Return the number of layers at which there are vectors."""
        return self.values.shape[2]

    def at(self, word: str, site: Site, extract_loop: int | None = None) -> Tensor:
        """Return the vector `(d_model,)` of a concept for a site: of its layer, and of its loop or of `extract_loop`.

        Outside of the loops it is that of the site. Raises InputError for a word or a site without vectors.
        """
        row = self._rows.get(one_spelling(word).casefold())
        if row is None:
            raise unknown_concept(word, self.words, "the concept vectors")
        if site.stage != "core":
            return self._outside(site)[row]
        loop = site.loop if extract_loop is None else extract_loop
        self._check(loop, site.layer)
        return self.values[row, loop, site.layer]

    def others_at(self, word: str, site: Site, extract_loop: int | None = None) -> Tensor:
        """Return the vectors of all other concepts at a site, `(concept - 1, d_model)`, as `at` finds them."""
        rows = [row for row in range(len(self.words)) if row != self._rows[one_spelling(word).casefold()]]
        if site.stage != "core":
            return self._outside(site)[rows]
        loop = site.loop if extract_loop is None else extract_loop
        self._check(loop, site.layer)
        return self.values[rows, loop, site.layer]

    def norms(self) -> Tensor:
        """Return the norm of each vector, `(concept, loop, layer)`."""
        return self.values.norm(dim=-1)

    def cosines(self, site: Site) -> Tensor:
        """Return cosine of each two concepts' vectors at a site, `(concept, concept)`; NaN where a vector is zero."""
        if site.stage == "core":
            self._check(site.loop, site.layer)
        vectors = (self.values[:, site.loop, site.layer] if site.stage == "core" else self._outside(site)).double()
        unit = vectors / vectors.norm(dim=-1, keepdim=True)
        return (unit @ unit.T).float()

    def mean_cosines(self) -> Tensor:
        """Return the mean over all sites of the cosine of each two concepts' vectors, `(concept, concept)`, float64.

        A vector that is zero counts as at right angles to all others.
        """
        unit = torch.nn.functional.normalize(self.values.double(), dim=-1).flatten(1)
        return (unit @ unit.T) / (self.n_loops * self.n_layers)

    def save(self, path: Path) -> None:
        """Write everything into one file, which appears whole or not at all."""
        about = {"format": FORMAT, "words": json.dumps(self.words), "manifest": json.dumps(self.manifest)}
        tensors = {name: values.contiguous() for name, values in self._parts.items()}
        if self.states is not None:
            about, tensors = {**about, "states": self.states.about}, {**tensors, **self.states.tensors}
        content = safetensors.torch.save(tensors, {**about, "hash": self._saved_hash})
        with replacing(path) as part:
            part.write_bytes(content)

    @classmethod
    def open(cls, path: Path) -> "ConceptVectors":
        """Read a file written by `save`; InputError when it is missing, damaged, or something else."""
        if not path.is_file():
            raise InputError(f"no file of concept vectors {str(path)!r}")
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                if about.get("format") != FORMAT:
                    raise InputError(f"{path} holds no concept vectors; its format should be {FORMAT!r}")
                words, manifest = json.loads(about["words"]), json.loads(about["manifest"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                outside = {str(stage): tensors[stage] for stage in LOOP_OF if stage in tensors}
                states = PromptStates.read(about["states"], tensors) if "states" in about else None
                vectors, saved = cls(tuple(words), tensors["values"], manifest, outside, states), about["hash"]
        except InputError:
            raise
        except (safetensors.SafetensorError, OSError, KeyError, ValueError, AssertionError) as error:
            raise InputError(f"{path} is damaged or no safetensors file: {error}") from None
        if vectors._saved_hash != saved:
            raise InputError(f"{path} is damaged: its content does not have the hash {saved} it was saved with")
        return vectors

    @property
    def _saved_hash(self) -> str:
        """Return what a file must still have when it is read: the hash, and that of the states where it has some."""
        return self.hash if self.states is None else f"{self.hash} {self.states.hash}"

    @property
    def _parts(self) -> dict[str, Tensor]:
        return {"values": self.values, **{stage: self.outside[stage] for stage in LOOP_OF if stage in self.outside}}

    def _outside(self, site: Site) -> Tensor:
        """Return the vectors of all concepts at a site outside of the loops, `(concept, d_model)`."""
        values = self.outside.get(site.stage)
        if values is None or not 0 <= site.layer < values.shape[1]:
            raise InputError(f"site {site}: there are no concept vectors for it")
        return values[:, site.layer]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {one_spelling(word).casefold(): row for row, word in enumerate(self.words)}

    def _check(self, loop: int, layer: int) -> None:
        if not 0 <= loop < self.n_loops:
            raise InputError(f"loop {loop}: concept vectors were extracted at loops 0 to {self.n_loops - 1}")
        if not 0 <= layer < self.n_layers:
            raise InputError(f"layer {layer}: concept vectors were extracted at layers 0 to {self.n_layers - 1}")
