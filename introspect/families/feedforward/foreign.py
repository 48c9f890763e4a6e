"""A checkpoint of a type that is unknown here, run by the code that it brings along, where the user asked for that.

Goes in: such a model. Comes out: a model of one loop, if its code is built as the feed-forward classes of transformers
are, and computes on our cache what it computes by itself. Nobody here has read that code, so it is checked each time.
"""

import hashlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.cache_utils import Cache
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.initialization import no_init_weights
from transformers.models.auto.auto_factory import add_generation_mixin_to_remote_model

from introspect.errors import InputError
from introspect.families.feedforward.model import BLOCKS, FeedForwardLooped, part_of
from introspect.models.about import About
from introspect.models.looped_model import LoopedModel
from introspect.models.row_cache import RowCache

KIND = "AutoModelForCausalLM"
_PROBE, BEGUN, PADDED = 8, 3, 4
"""Tokens of the text on which the code is checked, those that are cached before the rest, and those of padding."""
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}
"""Largest difference of two logits, of the largest logit; 16-bit formats have 0.05."""


class OwnCodeLooped(FeedForwardLooped):
    """A model that runs its own blocks once, through its own code."""

    about = About(
        name="own code",
        loops="none: one pass through the blocks; a looped model needs an adapter",
        source="the checkpoint's own code",
        verified="as it was loaded: read-out, padded rows and rows that share a beginning, on one text",
        licence="its own",
    )
    copies = False  # who knows what its code keeps, and where
    checkpoint: ClassVar[str]
    """What the user calls the one whose code this is."""

    def __init__(self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        with foreign(name), torch.no_grad():
            ids = (torch.arange(_PROBE, device=model.device) % model.config.vocab_size)[None]
            by_itself = model(input_ids=ids).logits
            super().__init__(name, model, tokenizer)
            for what, logits in self._again(ids):
                expected = by_itself[:, -logits.shape[1] :]
                apart = float((logits - expected).abs().max() / expected.abs().max())
                if not apart <= _TOLERANCE.get(self.dtype, 0.05):
                    raise InputError(
                        f"model {name!r}: its own code gives other logits {what}, {apart:.2g} of the largest"
                    )

    resume_arguments = LoopedModel.resume_arguments  # foreign blocks may read more than the state: always from tokens

    def stages(self, model: PreTrainedModel) -> tuple[tuple[nn.Module, ...], ...]:
        """Find the blocks, and leave them where the code that runs them has put them."""
        return (), tuple(part_of(model, BLOCKS)[1].children()), ()

    @classmethod
    def of(cls, settings: dict[str, Any], name: str, source: str, revision: str) -> type[Self]:
        """Make the adapter of one checkpoint. The Auto classes would take another's code for the same `model_type`."""
        if KIND not in settings["auto_map"]:
            raise InputError(f"model {name!r}: its config.json names no class for {KIND} under auto_map")
        with foreign(name):
            model_class = get_class_from_dynamic_module(settings["auto_map"][KIND], source, revision=revision)
            with_generation = add_generation_mixin_to_remote_model(model_class)
            return type(cls.__name__, (cls,), {"model_class": with_generation, "checkpoint": name})

    @classmethod
    def config_of(cls, settings: dict[str, Any]) -> Any:
        """Make the config by the checkpoint's own code."""
        with foreign(cls.checkpoint):
            config = cls.model_class.config_class.from_dict(settings)  # type: ignore[attr-defined]  # its own class
            cls.check_settings(config)
            cls.counts(config)
            return config

    @classmethod
    def computed_buffers(cls, model: PreTrainedModel) -> dict[str, Tensor]:
        """Return the buffers of a model that its code has just built: reading weights may lose or replace them."""
        with foreign(cls.checkpoint), no_init_weights():  # of what is allocated, only the buffers are ever touched
            return dict(type(model)(model.config).named_buffers())

    def described(self) -> dict[str, Any]:
        """Return the settings and the code that compute with the weights."""
        digest = hashlib.sha256()
        for path in sorted(Path(inspect.getfile(type(self.model))).parent.glob("*.py")):
            digest.update(path.read_bytes())
        settings = super().described()
        settings.pop("auto_map", None)  # where the code was found, which the hub and a folder tell differently
        return {**settings, "code": digest.hexdigest()}

    def _again(self, ids: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the logits of one text by each way in which trials are run."""
        states: list[Tensor] = []
        handle = self.blocks[-1].register_forward_hook(lambda _, __, output: states.append(output))
        yield "with another attention", self.model(input_ids=ids).logits
        handle.remove()
        yield "than its norm and head give of its last block", self.readout(states[0])
        padded = torch.cat((ids.new_zeros(1, PADDED), ids), 1)
        mask = torch.cat((ids.new_zeros(1, PADDED), torch.ones_like(ids)), 1)
        yield "behind padding", self.model(input_ids=padded, attention_mask=mask).logits[:, PADDED:]
        cache = self.new_cache()
        self.model(input_ids=ids[:, :BEGUN], past_key_values=cache, use_cache=True)
        where = {"position_ids": torch.arange(BEGUN, _PROBE, device=ids.device)[None], "past_key_values": _rows(cache)}
        last = self.model(input_ids=ids[:, BEGUN:], **where, use_cache=True, logits_to_keep=1).logits
        yield "where rows share a beginning", last


def _rows(begun: Cache) -> RowCache:
    """Make room for one row behind a beginning."""
    layers: Any = begun.layers
    keys, values = (torch.cat([getattr(layer, part) for layer in layers]) for part in ("keys", "values"))
    rows = RowCache(keys, values, 1, _PROBE - BEGUN)
    rows.aim(0, [0], _PROBE - BEGUN)
    return rows


@contextmanager
def foreign(name: str) -> Iterator[None]:
    """Turn whatever foreign code raises into one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # whoever wrote that code chose what it raises
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"model {name!r} cannot be run by its own code as a feed-forward model: {why}") from error
