"""The ways in which the steps of an answer are run, by the names that the option --engine has for them.

Goes in: a name. Comes out: whether this machine can do it; a model has its own say (`steps_of`).
"""

import shutil
from typing import Literal, get_args

from introspect.errors import InputError

EngineName = Literal["auto", "nnsight", "graph", "graph:compile", "graph:cuda"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
"""Through nnsight; from buffers on a bare copy of the model, as it stands, compiled, or as CUDA graphs. `auto` is
`graph` wherever the model can be copied: compiling takes minutes, which only long runs win back."""
COMPILERS = ("g++", "clang++", "c++")
"""Of which torch needs one to compile for the processor."""


def check_engine(name: EngineName, device: str) -> None:
    """Raise InputError for what this machine cannot do on a device."""
    if name == "graph:compile" and device == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise InputError(f"engine {name!r}: on a processor it needs a C++ compiler, one of {', '.join(COMPILERS)}")
    if name == "graph:cuda" and device != "cuda":
        raise InputError(f"engine {name!r}: CUDA graphs run on a GPU of NVIDIA's; the model is on {device!r}")
