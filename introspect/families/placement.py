"""Where a model runs and in which number format: `auto` and its alternatives, checked before anything is loaded."""

import re

import torch

from introspect.errors import InputError, unknown

_DTYPES = {name: getattr(torch, name) for name in ("float32", "bfloat16", "float16", "float64")}


def device_named(name: str) -> torch.device:
    """Read `auto` (cuda, else mps, else cpu) or a device such as cuda:1; InputError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.mps.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if not re.fullmatch(r"(cpu|cuda|mps)(:[0-9]+)?", name):
        raise unknown("device", name, ("auto", "cpu", "cuda", "cuda:1", "mps"))
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.mps.is_available())}[kind]
    if int(index or 0) >= count:
        raise InputError(f"device {name!r} is not there; this machine has {count} of kind {kind!r}")
    return torch.device(name)


def dtype_named(name: str, device: torch.device) -> torch.dtype:
    """Read `auto` (bfloat16 on a GPU, float32 on a CPU) or a number format; InputError lists the known ones."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name not in _DTYPES:
        raise unknown("dtype", name, ("auto", *_DTYPES))
    if name == "float64" and device.type == "mps":
        raise InputError("dtype 'float64' does not exist on mps; float32 does")
    dtype: torch.dtype = _DTYPES[name]
    return dtype


def dtype_name(dtype: torch.dtype) -> str:
    """Write a number format as `dtype_named` reads it, such as float32."""
    return str(dtype).removeprefix("torch.")
