"""LoopedModel: all that the rest of the package knows of a model. One subclass a family fills in what differs.

Goes in: a loaded model and its tokenizer. Comes out: where each site is, how to run another number of loops, how to
read a state out, and how to write a chat down.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedTokenizerFast
from transformers.cache_utils import Cache

from introspect.errors import InputError
from introspect.models.about import About
from introspect.models.chat import ChatFormat, chat_format, with_chat
from introspect.models.hashing import hash_of
from introspect.models.row_attention import ATTENTION
from introspect.prompts.dates import write_chat
from introspect.prompts.turns import Turns
from introspect.records.site import Stage
from introspect.records.trial import CODA, LAST, PRELUDE, Site

TURN_ENDS = ("<|im_end|>", "<|endoftext|>")
"""Tokens that end an answer in the chat formats known here, besides the tokenizer's and the config's own."""


class SiteError(RuntimeError):
    """A site that does not exist, or a planned one at which not exactly one visit was paid."""


class LoopedModel(ABC):
    """A model whose blocks run several times a forward; loops and layers count from 0."""

    about: ClassVar[About]
    model_class: ClassVar[Any]  # a PreTrainedModel, or what finds one by its model_type
    """What `from_pretrained` is called on."""

    required: ClassVar[tuple[str, ...]] = ()
    """Fields of config.json that no default may stand in for: they decide what is computed, and no weight shows them.

    Of names joined by `|` one is enough.
    """
    passed_over: ClassVar[frozenset[str]] = frozenset()
    """Fields of config.json that change nothing here: of training, or told by another field or a weight's shape."""
    only: ClassVar[Mapping[str, tuple[object, ...]]] = {}
    """Fields that are known at these values alone, as at null; every one of a list must be among them."""

    files: ClassVar[frozenset[str]] = frozenset()
    """Files and folders beside config.json and the weights that are read as well."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """Regular expressions on the names of saved weights, and what stands in their place."""
    summed: ClassVar[bool] = False
    """Whether what is said after a loop is a sum over the loops so far, of which a loop's end is only the last part.

    `readout` then gives that part alone; the sum is the head of the forward's `loop_states`.
    """

    by_token: ClassVar[bool] = False
    """Whether a token runs all its loops before the next token begins.

    A block is then called once per token and loop, for one column each time, and an injection at any loop reaches all
    loops of the tokens behind it. Such a family cannot go on behind a site.
    """

    copies: ClassVar[bool] = True
    """Whether a copy of the model's modules computes what the model does, so that steps can be run from buffers."""

    n_loops: int
    """Loops as trained; any other number can be run."""
    n_layers: int
    d_model: int
    blocks: tuple[nn.Module, ...]
    """The recurrent blocks, one a layer; each gives the residual stream `(batch, position, d_model)` as a tensor."""
    prelude: tuple[nn.Module, ...] = ()
    """Blocks that run once before all loops."""
    coda: tuple[nn.Module, ...] = ()
    """Blocks that run once behind all loops."""
    file_hash: str | None = None
    """SHA-256 of the one file that the model was unpacked from, if it was."""

    def __init__(self, name: str, model: Any, tokenizer: PreTrainedTokenizerFast) -> None:
        self.name, self.model = name, model  # Any: the family knows the model's parts
        self.tokenizer = with_chat(tokenizer)
        self.model.set_attn_implementation(ATTENTION)

    def __repr__(self) -> str:
        """Return the name and the counts of the axes, and no weights."""
        axes = f"{self.n_loops} loops, {self.n_layers} layers, d_model {self.d_model}"
        outside = f", prelude {len(self.prelude)}, coda {len(self.coda)}" if self.prelude or self.coda else ""
        return f"{type(self).__name__}({self.name!r}: {axes}{outside})"

    @classmethod
    def config_of(cls, settings: dict[str, Any]) -> Any:
        """Make the config of a checkpoint from its config.json; InputError for what the family cannot compute."""
        return cls.model_class.config_class.from_dict(settings)

    @staticmethod
    def computed_buffers(model: Any) -> dict[str, Tensor]:  # noqa: ARG004 (a model written here has none)
        """Compute anew what the buffers must hold that are in no file, by their names."""
        return {}

    @staticmethod
    @abstractmethod
    def counts(config: Any) -> tuple[int, int]:
        """Return the loops as trained and the layers, from a config alone."""

    @staticmethod
    def outside(config: Any) -> tuple[int, int]:  # noqa: ARG004 (most families have none)
        """Return the blocks before and behind the loops, from a config alone."""
        return 0, 0

    @staticmethod
    def check_loops(config: Any, n_loops: int) -> None:  # noqa: ARG004 (most run any number)
        """Raise InputError for a number of loops that cannot be run, from a config alone."""
        if n_loops < 1:
            raise InputError(f"loops run: {n_loops} is no number of loops; it must be at least 1")

    def forward_arguments(self, n_loops: int) -> dict[str, Any]:
        """Return the forward arguments that run `n_loops` loops with early exit switched off; InputError as above."""
        self.check_loops(self.model.config, n_loops)
        return {"n_loops": n_loops}

    @abstractmethod
    def readout(self, state: Tensor, **behind: Any) -> Tensor:
        """Return the logits `(batch, position, vocabulary)` of what a loop's last block put out, as if none followed.

        Args:
            state: `(batch, position, d_model)`; without a coda each position stands for itself.
            behind: with a coda, whose blocks attend: `loop`, `n_loops` of the forward that the cache is of,
                `past_key_values` and `position_ids`; left out, the positions are a whole text from its beginning.
        """

    def lens(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of what any block put out, by the last norm and the head alone."""
        logits: Tensor = self.model.head(state) if self.coda else self.readout(state)
        return logits

    @property
    def resumes(self) -> bool:
        """Say whether a forward can go on behind a site; if not, it always begins with the tokens."""
        return type(self).resume_arguments is not LoopedModel.resume_arguments

    def resume_arguments(self, site: Site, states: Mapping[Site, Tensor]) -> dict[str, Any] | None:  # noqa: ARG002
        """Return the forward arguments that go on behind a site; None: the family always begins with the tokens.

        `states` are those of all sites up to this one, `(batch, position, d_model)`.
        """
        return None

    @abstractmethod
    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, numbered as the sites run, the heads of keys and values, and their size."""

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""

    @property
    def both_ways(self) -> bool:
        """Say whether the tokens of a prompt attend to one another in both directions."""
        return False

    def prompt_arguments(self, prompt: Tensor) -> dict[str, Any]:  # noqa: ARG002 (most know no prompt)
        """Return the forward arguments that say which tokens are a prompt's, `(batch, position)`, without a cache."""
        return {}

    def exit_arguments(self, exit_: str) -> dict[str, Any]:
        """Return the forward arguments that read where `Sampling.exit` says; InputError where that cannot be."""
        if exit_ == LAST:
            return {}
        raise InputError(f"exit {exit_!r}: model {self.name!r} has no exit gate; fewer loops are run with total loops")

    def exit_rate(self, state: Tensor) -> Tensor | None:  # noqa: ARG002 (most have no gate)
        """Return the rate `(...)` at which the exit gate leaves after a loop that ended in `(..., d_model)`, if any."""
        return None

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, without special ones."""
        return self.turns.decode(tokens)

    @cached_property
    def turns(self) -> Turns:
        """Return what takes drawn tokens apart: the thinking, the answer, and what lies behind the model's own turn."""
        return Turns(self.tokenizer)

    def sites(self, n_loops: int | None = None) -> list[Site]:
        """List every site in running order (default: the loops as trained)."""
        loops = self.n_loops if n_loops is None else n_loops
        core = [Site(loop, layer) for loop in range(loops) for layer in range(self.n_layers)]
        outside = {stage: [Site(stage, layer) for layer in range(n)] for stage, n in self._outside.items()}
        return [*outside[PRELUDE], *core, *outside[CODA]]

    def locate(self, site: Site, n_loops: int) -> tuple[nn.Module, int]:
        """Return the block of a site and which of its calls within one forward it is; SiteError if there is none."""
        if site.layer in range(self._outside.get(site.loop, 0)):
            return (self.prelude if site.loop == PRELUDE else self.coda)[site.layer], 0
        if not (0 <= site.loop < n_loops and 0 <= site.layer < self.n_layers):
            outside = [f"{stage} 0 to {n - 1}" for stage, n in self.layers.items() if n and stage != "core"]
            there = [f"loops 0 to {n_loops - 1}", f"layers 0 to {self.n_layers - 1}", *outside]
            raise SiteError(f"site {site}: there is none; this forward has {', '.join(there)}")
        return self.blocks[site.layer], site.loop

    @property
    def _outside(self) -> dict[int, int]:
        return {PRELUDE: len(self.prelude), CODA: len(self.coda)}

    @property
    def closed(self) -> tuple[nn.Module, ...]:
        """List the modules inside which nobody looks, as far as their types differ."""
        return *self.prelude, *self.blocks, *self.coda

    @property
    def layers(self) -> dict[Stage, int]:
        """Return the number of layers in each stage."""
        return {"prelude": len(self.prelude), "core": self.n_layers, "coda": len(self.coda)}

    def bytes_per_token(self, n_loops: int) -> int:
        """Return the bytes that one token of one row takes in the cache: a key and a value in every slot."""
        return 2 * math.prod(self.cache_shape(n_loops)) * self.dtype.itemsize

    def new_cache(self) -> Cache:
        """Make an empty cache that grows with the loops and the tokens."""
        return DynamicCache()

    @property
    def device(self) -> torch.device:
        """Say where the weights are."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Return the number format of the weights."""
        return next(self.model.parameters()).dtype

    def chat(self, messages: Sequence[dict[str, str]], *, continue_: bool = False) -> str:
        """Write messages in the chat format, with the opening of an answer; `continue_` leaves the last one open."""
        ending = {"add_generation_prompt": not continue_, "continue_final_message": continue_}
        return write_chat(self.tokenizer, messages, **ending)

    @property
    def chat_format(self) -> ChatFormat:
        """Name the format in which chats are written: `plain` for a model that was never tuned for chat."""
        return chat_format(self.tokenizer)

    @cached_property
    def end_of_turn(self) -> tuple[int, ...]:
        """List the tokens that end an answer, sorted."""
        vocabulary = self.tokenizer.get_vocab()
        named = {vocabulary[token] for token in TURN_ENDS if token in vocabulary}
        for settings in (self.model.config, self.model.generation_config, self.tokenizer):
            named |= _ids(settings.eos_token_id)
        return tuple(sorted(named))

    @property
    def pad_id(self) -> int:
        """Return the token that fills rows up; it is always masked."""
        pad = self.model.config.pad_token_id
        return 0 if pad is None else int(pad)

    @cached_property
    def weights_hash(self) -> str:
        """Return 16 hex digits of the SHA-256 of weights, tokenizer and settings, whatever files they came from.

        A file of quantised weights counts itself: what it is unpacked to depends on who unpacks it.
        """
        file = {} if self.file_hash is None else {"file": self.file_hash}
        return hash_of(self.described() | file, self.tokenizer, self.model.state_dict())


def _ids(value: int | list[int] | None) -> set[int]:
    if value is None:
        return set()
    return set(value) if isinstance(value, list) else {value}
