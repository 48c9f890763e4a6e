"""RoutedCausalLM: a looped language model some of whose loops run some tokens only.

Goes in: what any looped model takes. Comes out: also which tokens each loop has run.
"""

from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from introspect.families.parts.looped_lm import LoopedCausalLM, LoopedOutput


@dataclass
class RoutedOutput(LoopedOutput):
    """What a forward pass gives."""

    routed: Tensor | None = None
    """Which tokens each loop has run, `(n_loops, batch, position)`; None: all of them. What is added to a token that a
    loop does not run is lost, except where a family computes keys and values of every token."""


class RoutedCausalLM(LoopedCausalLM):
    """A looped language model whose `run` puts a mask `(batch, position, 1)` a loop into the list `routed`."""

    @wraps(LoopedCausalLM.forward)
    def forward(self, *given: Any, **named: Any) -> RoutedOutput:  # type: ignore[override]  # the arguments are the same
        """Run `n_loops` loops; say also which tokens each has run."""
        routed: list[Tensor] = []
        output = super().forward(*given, routed=routed, **named)
        return RoutedOutput(**output, routed=torch.stack(routed)[..., 0] if routed else None)
