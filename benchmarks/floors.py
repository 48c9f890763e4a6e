"""The least time of a decode step: what must be read, over the bandwidth of the device's memory.

Goes in: a model, rows, tokens. Come out: bytes and seconds. Weights are read once a loop, keys and values once.
"""

import time
from dataclasses import dataclass
from statistics import median

import torch

from benchmarks.timing import synchronize
from introspect.models.looped_model import LoopedModel
from introspect.prompts import Encoded

NOMINAL = {
    "H100 PCIe": 2.0e12,
    "H100 NVL": 3.9e12,
    "H100": 3.35e12,
    "H200": 4.8e12,
    "B200": 8.0e12,
    "A100-SXM4-40GB": 1.555e12,
    "A100-SXM4-80GB": 2.039e12,
    "A100 80GB PCIe": 1.935e12,
    "L40S": 0.864e12,
    "RTX 4090": 1.008e12,
}
"""Bytes a second by the vendors' data sheets; the first name that is part of the card's counts."""


@dataclass(frozen=True)
class Bandwidth:
    """Bytes a second to and from the device's memory."""

    measured: float
    """Of a copy, reading and writing together."""
    nominal: float | None
    """None when the card is not known."""


def bandwidth(device: torch.device, size: int = 2**30, rounds: int = 10) -> Bandwidth:
    """Copy `size` bytes on the device, several times."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    taken = []
    for _ in range(rounds):
        synchronize()
        begin = time.perf_counter()
        target.copy_(source)
        synchronize()
        taken.append(time.perf_counter() - begin)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return Bandwidth(2 * size / median(taken), next((value for key, value in NOMINAL.items() if key in name), None))


def step_bytes(looped: LoopedModel, encoded: Encoded, rows: int, written: float, *, shared: bool) -> float:
    """Count what a step must read in bytes, when each row has `written` tokens of its answer.

    `shared`: the tokens before the span are kept and read once for all rows, else once for each.
    """
    blocks = sum(weight.numel() for block in looped.blocks for weight in block.parameters())
    weights = looped.n_loops * blocks + looped.d_model * looped.model.config.vocab_size
    before, after = encoded.span_start, len(encoded.token_ids) - encoded.span_start + written
    tokens = before * (1 if shared else rows) + after * rows
    return float(weights * looped.dtype.itemsize + tokens * looped.bytes_per_token(looped.n_loops))
