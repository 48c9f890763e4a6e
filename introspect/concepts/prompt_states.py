"""Prompt states: the residual stream after each of some neutral prompts, at every site, for the arm `swap`.

Goes in: what `extraction.record_states` measured. Comes out: the states at a site. They are kept in the file of the
concept vectors and have a hash of their own, so that the trials of other arms are the same with them and without.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from introspect.records.site import LOOP_OF
from introspect.records.trial import Site

NO_STATES = "no such states of neutral prompts as the arm swap needs"
"""What a file holds that was made without that arm, or for others."""
_PREFIX = "states "
"""What the names of their tensors in a file begin with."""


@dataclass(frozen=True, eq=False)
class PromptStates:
    """The states of some prompts at every site, at the token where concept vectors are read."""

    texts: tuple[str, ...]
    """What each prompt says."""
    values: Tensor
    """`(text, loop, layer, d_model)`, float32, on the CPU."""
    manifest: dict[str, Any]
    """What made them: template, texts, model, weights hash, loops, number format. Plain JSON."""
    outside: dict[str, Tensor] = field(default_factory=dict)
    """The same for the blocks of the prelude and the coda, `(text, layer, d_model)`, where the model has them."""

    def __post_init__(self) -> None:
        """Check shapes and number format."""
        for name, values in self.tensors.items():
            assert values.shape[0] == len(self.texts), (name, values.shape, len(self.texts))
            assert values.dtype == torch.float32, (name, values.dtype)

    @cached_property
    def hash(self) -> str:
        """Return 16 hex digits of the SHA-256 of texts, manifest and states."""
        shapes = {name: list(values.shape) for name, values in self.tensors.items()}
        head = json.dumps([self.texts, self.manifest, shapes], sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(head.encode())
        for values in self.tensors.values():
            digest.update(values.numpy().tobytes())
        return digest.hexdigest()[:16]

    def at(self, site: Site, extract_loop: int | None = None) -> Tensor:
        """Return the states for a site, `(text, d_model)`: of its layer, and of its loop or of `extract_loop`."""
        if site.stage != "core":
            return self.outside[site.stage][:, site.layer]
        return self.values[:, site.loop if extract_loop is None else extract_loop, site.layer]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Return everything by its name in a file."""
        parts = {"core": self.values, **{stage: self.outside[stage] for stage in LOOP_OF if stage in self.outside}}
        return {f"{_PREFIX}{stage}": values.contiguous() for stage, values in parts.items()}

    @property
    def about(self) -> str:
        """Return what stands about them in the metadata of a file."""
        return json.dumps([self.texts, self.manifest])

    @classmethod
    def read(cls, about: str, tensors: Mapping[str, Tensor]) -> Self:
        """Read what `about` and `tensors` gave; the hash is for the reader of the file to compare."""
        texts, manifest = json.loads(about)
        parts = {name.removeprefix(_PREFIX): values for name, values in tensors.items() if name.startswith(_PREFIX)}
        return cls(tuple(texts), parts.pop("core"), manifest, parts)
