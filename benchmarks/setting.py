"""What a benchmark runs: a model, a prompt, vectors and trials over many sites and concepts.

Goes in: the name of a model or the shape of one with random weights. Comes out: a Setting. Answers never end early,
so that every way to run a trial makes the same number of tokens.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from introspect.concepts.contrast_prompts import baseline_contrast
from introspect.concepts.extraction import measure
from introspect.concepts.sets import read_choice
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.families.loading import load_model, peek
from introspect.families.ouro.adapter import OuroLooped
from introspect.families.ouro.config import OuroConfig
from introspect.families.ouro.model import OuroForCausalLM
from introspect.families.placement import dtype_name
from introspect.injection.engine.engine import Engine, PromptKey
from introspect.injection.plan.plan import trial_seed
from introspect.models.bare_copy import bare_copy
from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Tap
from introspect.prompts import Encoded, encode, render, template_named
from introspect.prompts.turns import Turns
from introspect.records.trial import Injection, Sampling, Site, Trial

ORGANISM = "organism:aware"
PROMPT: PromptKey = ("prompt", ())
"""What the one prompt is found by."""
WORDS = 16
"""Concepts, and so trials in a cell."""
NAMES = ("wide", "organism", "plain", "looped")
LOOP_LAYERS, LOOPS = "10-19", 2
"""Of a checkpoint without loops, for `looped`."""


@dataclass(frozen=True)
class Setting:
    """One model with all that its trials need."""

    looped: LoopedModel
    plain: Any
    """A copy that nothing is wrapped around, with the attention of transformers: what baselines run on."""
    encoded: Encoded
    vectors: ConceptVectors
    tap: Tap
    loops: int | None = None
    """Loops run; as trained when left out."""

    @property
    def n_loops(self) -> int:
        """Return the loops run."""
        return self.looped.n_loops if self.loops is None else self.loops

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments of a forward of the plain copy."""
        return self.looped.forward_arguments(self.n_loops)

    def place(self, site: Site) -> tuple[nn.Module, int]:
        """Return the plain copy's block of a site, and which of its calls it is."""
        block, call = self.looped.locate(site, self.n_loops)
        paths = {module: path for path, module in self.looped.model.named_modules()}
        return self.plain.get_submodule(paths[block]), call

    @cached_property
    def engine(self) -> Engine:
        """Return what runs the trials."""
        return Engine(self.tap, {PROMPT: self.encoded}, self.vectors)

    def trials(self, n: int, new_tokens: int, *, n_sites: int | None = None) -> list[Trial]:
        """Make `n` injected trials of strength 1, mixed, over every concept at sites spread over the model.

        `n_sites` is the number of cells, by default as many as are needed to give every trial a site and concept of
        its own; what is then still missing are repeats.
        """
        words, every = self.vectors.words, self.looped.sites(self.n_loops)
        wanted = min(n_sites or -(-n // len(words)), len(every))
        sites = [every[index * len(every) // wanted] for index in range(wanted)]
        made = []
        for index in range(n):
            cell, word = divmod(index, len(words))
            made.append(self._trial(sites[cell % wanted], words[word], cell // wanted, new_tokens))
        random.Random(0).shuffle(made)
        return made

    def _trial(self, site: Site, word: str, repeat: int, new_tokens: int) -> Trial:
        return Trial(
            model=self.looped.name,
            weights_hash=self.looped.weights_hash,
            dtype=dtype_name(self.looped.dtype),
            protocol="detect",
            template="detect",
            template_hash=PROMPT[0],
            concept=word,
            arm="injected",
            injection=Injection((site,), 1.0, self.vectors.hash),
            n_loops=self.n_loops,
            repeat=repeat,
            seed=trial_seed(0, word, repeat),
            sampling=Sampling(max_new_tokens=new_tokens),
        )


def shape(width: int, hidden: int, heads: int, *, n_layers: int = 4, n_loops: int = 4) -> OuroConfig:
    """Return a shape in the Ouro layout, with the vocabulary of an organism."""
    return OuroConfig(
        hidden_size=width,
        intermediate_size=hidden,
        num_attention_heads=heads,
        num_hidden_layers=n_layers,
        total_ut_steps=n_loops,
        vocab_size=len(organism_tokenizer()),
    )


def wide_shape() -> OuroConfig:
    """Return the shape in which arithmetic dominates on a CPU."""
    return shape(512, 1408, 8)


def random_model(config: OuroConfig, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> OuroLooped:
    """Make a model with random weights where it will run, the same for the same shape and device."""
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    try:
        torch.set_default_dtype(dtype)
        with torch.device(device):
            model = OuroForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    model.train(False)
    looped = OuroLooped("random", model, organism_tokenizer())
    looped.weights_hash = "random"  # weights of this size take seconds to hash, and nothing here is stored
    return looped


def organism_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer and chat format of the organisms."""
    return peek(ORGANISM).tokenizer


def named_setting(name: str, checkpoint: Path | None = None, device: str = "cpu") -> Setting:
    """Make the setting of one of NAMES, with vectors extracted from the model itself.

    A checkpoint, such as the SmolLM2 of `make real`, is run as it is, or with LOOP_LAYERS run LOOPS times.
    """
    looped, loops = _model(name, checkpoint, device)
    plain = plain_copy(looped)
    concepts, chosen = read_choice("held-out", default="organisms")
    tap = Tap(looped)
    vectors = measure(tap, baseline_contrast(chosen.words[:WORDS], concepts.baseline.words), n_loops=loops)
    return setting(looped, plain, vectors, tap=tap, loops=loops)


def _model(name: str, checkpoint: Path | None, device: str) -> tuple[LoopedModel, int | None]:
    if name == "wide":
        return random_model(wide_shape(), device=device), None
    if name == "organism":
        return load_model(ORGANISM, device=device, dtype="float32"), None
    if checkpoint is None:
        raise InputError(f"model {name!r}: --checkpoint names its file")
    if name == "plain":
        return load_model(str(checkpoint), device=device, dtype="float32"), None
    return load_model(str(checkpoint), device=device, dtype="float32", loop_layers=LOOP_LAYERS), LOOPS


class _Endless(Turns):
    """Answers of which none ends, whatever it says."""

    def over(self, _: Sequence[int]) -> bool:
        """Say no."""
        return False


def setting(
    looped: LoopedModel,
    plain: OuroForCausalLM,
    vectors: ConceptVectors,
    *,
    encoded: Encoded | None = None,
    tap: Tap | None = None,
    loops: int | None = None,
) -> Setting:
    """Put a setting together, by default with the shipped question; its answers go on until they are full."""
    looped.end_of_turn, looped.turns = (), _Endless(looped.tokenizer)
    question = encode(render(template_named("detect")), looped.tokenizer) if encoded is None else encoded
    return Setting(looped, plain, question, vectors, Tap(looped) if tap is None else tap, loops)


def plain_copy(looped: LoopedModel) -> Any:
    """Return a model of the same weights that no Tap wraps, with the attention that transformers chooses by itself."""
    plain = bare_copy(looped.model)
    plain.set_attn_implementation("sdpa")
    plain.train(False)
    return plain


def random_vectors(looped: LoopedModel, n: int = WORDS) -> ConceptVectors:
    """Draw vectors with the size of a normed residual stream, for a model too large or too small to extract any."""
    shape = (n, looped.n_loops, looped.n_layers, looped.d_model)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return ConceptVectors(tuple(f"word{index}" for index in range(n)), values, {})


def injection_of(trial: Trial) -> Injection:
    """Return the injection, which every trial here has."""
    assert trial.injection is not None, trial
    return trial.injection
