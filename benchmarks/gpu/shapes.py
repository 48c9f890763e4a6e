"""What is measured: the shapes of published models with random weights, and how much of each is run."""

from dataclasses import dataclass

import torch

from benchmarks.setting import Setting, plain_copy, random_model, random_vectors, setting
from introspect.errors import unknown
from introspect.families.ouro.config import OuroConfig

LAYERS = {"1.4B": 24, "2.6B": 48}
"""Layers of Ouro's models, all else being the same: width 2048, 16 heads, 4 loops, 49,152 tokens."""


@dataclass(frozen=True)
class Extent:
    """How much is run."""

    rows: tuple[int, ...] = (16, 64, 256, 512)
    short: int = 8
    long: int = 40
    """New tokens of the two answers whose difference is a step; trials have the long one."""
    trials: int = 256
    copied: int = 2**30
    """Bytes of the copy that measures the bandwidth of memory."""
    compared: int = 64
    """Trials of the organism whose tokens every engine must give."""


TINY = Extent(rows=(2, 4), short=2, long=4, trials=8, copied=2**20, compared=4)


def setting_of(name: str, device: str) -> Setting:
    """Make one of LAYERS, or a `tiny` one, with random bfloat16 weights on the device. Raises InputError."""
    if name == "tiny":
        config = OuroConfig(
            hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=2, total_ut_steps=2
        )
    elif name in LAYERS:
        config = OuroConfig(num_hidden_layers=LAYERS[name])
    else:
        raise unknown("shape", name, LAYERS)
    looped = random_model(config, device=device, dtype=torch.bfloat16)
    return setting(looped, plain_copy(looped), random_vectors(looped))
