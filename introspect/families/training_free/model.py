"""Training-free looping (arXiv 2605.23872): layers in the middle of a model without loops are run several times.

    h = h + (layer(h) - h) / K     damped: in each of K loops every layer of the block adds 1/K of its update
    h = layer(h)                   plain: in each loop all of it

Goes in: which layers of which feed-forward model. Comes out: an adapter with prelude, core and coda, whose one loop is
the model as it was.
"""

from typing import Any, ClassVar, Self

from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.families.feedforward.foreign import OwnCodeLooped
from introspect.families.feedforward.model import BLOCKS, FeedForwardLooped, part_of
from introspect.models.about import About
from introspect.models.looped_layers import LoopedLayers
from introspect.models.looped_model import LoopedModel


class TrainingFreeLooped(FeedForwardLooped):
    """A model that was trained without loops, some of whose layers are looped; `of` says which."""

    about = About(
        name="training-free looping",
        loops="layers of a model trained without loops, run again: --loop-layers, --loop-step",
        source="arXiv 2605.23872",
        verified="a plain loop over the layers on random weights, one small model of each type; SmolLM2-135M",
        licence="each its own",
    )
    layers_looped: ClassVar[str]
    """What the user wrote."""
    step: ClassVar[str]

    def __init__(self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(f"{name}{self.loop(model.config).name}", model, tokenizer)

    @classmethod
    def of(cls, layers: str, step: str) -> type[Self]:
        """Make the adapter that loops these layers."""
        return type(cls.__name__, (cls,), {"layers_looped": layers, "step": step})

    @classmethod
    def loop(cls, config: Any) -> LoopedLayers:
        """Say which layers are looped, and how."""
        return LoopedLayers.read(cls.layers_looped, cls.step, config.num_hidden_layers)

    @classmethod
    def config_of(cls, settings: dict[str, Any]) -> Any:
        """Make the config; InputError also for layers that it does not have."""
        config = super().config_of(settings)
        cls.loop(config)
        return config

    @classmethod
    def counts(cls, config: Any) -> tuple[int, int]:
        """Return one loop, the model as it was, and the layers that are looped."""
        return 1, len(cls.loop(config).stages(range(config.num_hidden_layers))[1])

    @classmethod
    def outside(cls, config: Any) -> tuple[int, int]:
        """Return the layers before and behind those that are looped."""
        before, _, behind = cls.loop(config).stages(range(config.num_hidden_layers))
        return len(before), len(behind)

    @staticmethod
    def check_loops(config: Any, n_loops: int) -> None:
        """Raise InputError for fewer loops than one."""
        LoopedModel.check_loops(config, n_loops)

    @property
    def closed(self) -> tuple[nn.Module, ...]:
        """List all layers beside the steps in which looped ones end."""
        return *super().closed, *part_of(self.model, BLOCKS)[1].children()

    def forward_arguments(self, n_loops: int) -> dict[str, Any]:
        """Return the forward arguments that run so many loops; InputError as above."""
        self.check_loops(self.model.config, n_loops)
        return {"n_loops": n_loops}

    def lens(self, state: Tensor) -> Tensor:
        """Return the logits of what any layer put out, by the model's norm and head."""
        return super().readout(state)

    def readout(self, state: Tensor, **behind: Any) -> Tensor:
        """Return the logits `(batch, position, vocabulary)` of a loop's end, through the layers behind the loops."""
        if not self.coda:
            return super().readout(state)
        loop, n_loops = behind.pop("loop", 0), behind.pop("n_loops", 1)
        cached = behind.get("past_key_values") is not None
        output = self.model(inputs_embeds=state, lens=loop, n_loops=n_loops, use_cache=cached, **behind)
        logits: Tensor = output.logits
        return logits

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, one a site and those for read-outs, its heads, and their size."""
        _, heads, size = super().cache_shape(n_loops)
        return len(self.sites(n_loops)) + (n_loops - 1) * len(self.coda), heads, size

    def described(self) -> dict[str, Any]:
        """Return the settings, and how the loop was made."""
        return {**super().described(), "looped_layers": self.loop(self.model.config).name}


def looping(family: type[LoopedModel], layers: str | None, step: str, name: str) -> type[LoopedModel]:
    """Return adapter that loops these layers, the model's own without any. Raises InputError where that cannot be."""
    if layers is None:
        return family
    if issubclass(family, OwnCodeLooped):
        raise InputError(
            f"loop_layers {layers!r}: model {name!r} is run by its own code, whose layers cannot be looped"
        )
    if not issubclass(family, FeedForwardLooped):
        raise InputError(f"loop_layers {layers!r}: model {name!r} has loops of its own ({family.about.name})")
    return TrainingFreeLooped.of(layers, step)
