"""StagedCausalLM: prelude, a core that is fed the prelude's output anew in every loop, coda, whatever their blocks are.

Goes in: the embedded tokens. Come out: what the head reads, and the state after each loop. A family says what stands
between its stages.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from introspect.families.parts.layers import Shared
from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.records.site import CODA, PRELUDE, Site

StageModules = tuple[nn.ModuleList, nn.ModuleList, nn.ModuleList]


class StagedCausalLM(LoopedCausalLM):
    """A looped language model in three stages.

        e = fed(prelude(embedding));  x = initial(e);  closed(coda(opened(x)))
        x = left(core(entered(begun(x), e)))  in every loop

    Its forward takes `refeed`, the prelude's output, with which to go on `after` a site of the core; and `lens`, a
    loop whose state `inputs_embeds` is, to be read out through the coda as if it were the last of `n_loops`.
    """

    @property
    def stages(self) -> StageModules:
        """Return the blocks of prelude, core and coda."""
        raise NotImplementedError

    def fed(self, h: Tensor) -> Tensor:
        """Return what every loop is fed, from the prelude's output."""
        return h

    def initial(self, refeed: Tensor, shared: Shared) -> Tensor:
        """Return the state before the first loop, like `refeed`."""
        raise NotImplementedError

    def begun(self, state: Tensor, left: int) -> Tensor:  # noqa: ARG002 (most loops do not know their number)
        """Return the state with which a loop begins that has so many behind it."""
        return state

    def entered(self, state: Tensor, refeed: Tensor) -> Tensor:
        """Return what the core's first block reads."""
        raise NotImplementedError

    def entered_first(self, state: Tensor, refeed: Tensor) -> Tensor:
        """Return what the core's first block reads in the first loop."""
        return self.entered(state, refeed)

    def left(self, h: Tensor) -> Tensor:
        """Return the state that the core's last block hands on to the next loop."""
        return h

    def opened(self, h: Tensor) -> Tensor:
        """Return what the coda's first block reads, from what the core's last block put out."""
        return self.left(h)

    def closed(self, h: Tensor) -> Tensor:
        """Return what the head reads, from what the coda's last block put out."""
        raise NotImplementedError

    def run(
        self,
        h: Tensor,
        shared: Shared,
        n_loops: int,
        after: Site | None,
        refeed: Tensor | None = None,
        lens: int | None = None,
        **_: Any,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run prelude, loops and coda; the states after each loop are as the core's last block put them out."""
        prelude, core, coda = self.stages
        behind = len(prelude) + n_loops * len(core)
        if lens is not None:
            return self._last(h, shared, behind if lens == n_loops - 1 else behind + (lens + 1) * len(coda), 0), ()
        if after is not None and after.loop == CODA:
            return self._last(h, shared, behind, after.layer + 1), ()
        if after is None or after.loop == PRELUDE:
            for layer in range(0 if after is None else after.layer + 1, len(prelude)):
                h = prelude[layer](h, shared, layer)
            after, refeed = None, self.fed(h)
            h = self.initial(refeed, shared)
        else:
            assert refeed is not None, f"going on behind {after} needs what the prelude gave"
            refeed = self.fed(refeed)
        states: list[Tensor] = []
        first_loop, first_layer = (0, 0) if after is None else (after.loop, after.layer + 1)
        for loop in range(first_loop, n_loops):
            for layer in range(first_layer if loop == first_loop else 0, len(core)):
                if layer == 0:
                    begun = self.begun(self.left(h) if loop else h, n_loops - 1 - loop)
                    h = self.entered(begun, refeed) if loop else self.entered_first(begun, refeed)
                h = core[layer](h, shared, len(prelude) + loop * len(core) + layer)
            states.append(h)
        return self._last(h, shared, behind, 0), tuple(states)

    def _last(self, h: Tensor, shared: Shared, slot: int, first: int) -> Tensor:
        """Run the coda from one of its blocks on, with what stands before and behind it."""
        coda = self.stages[2]
        h = self.opened(h) if first == 0 else h
        for layer in range(first, len(coda)):
            h = coda[layer](h, shared, slot + layer)
        return self.closed(h)


def noise_at(
    shared: Shared, like: Tensor, seed: int, *, cut: float | None = 3.0, deviation: float | Tensor = 1.0
) -> Tensor:
    """Return normal noise keyed by (seed, position), with the shape, the number format and the device of `like`.

    It is drawn on the CPU in float64 and cut off at `cut` deviations. A trial and its control begin alike, in any
    batch and behind any cache.
    """
    rows = 1 << shared.columns.bit_length()
    noise = _kept_noise(seed, rows, like.shape[-1], cut, float(deviation), like.device, like.dtype)
    return noise[shared.positions].expand(like.shape)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _kept_noise(*what_decides_it: Any) -> Tensor:
    """Return the noise that is kept; to a compiler it is a constant."""
    return _noise(*what_decides_it)


@lru_cache(maxsize=4)
def _noise(  # its arguments are what decides it
    seed: int, rows: int, width: int, cut: float | None, deviation: float, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Draw the noise of the first positions, `(rows, width)`; more rows begin with the same ones.

    It is kept where it is needed, so that a step neither asks a device for its positions nor copies noise to it.
    """
    uniform = torch.rand(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    end = torch.tensor(float("inf") if cut is None else cut, dtype=torch.float64)
    low, high = torch.special.ndtr(-end), torch.special.ndtr(end)
    noise = torch.special.ndtri((low + (high - low) * uniform).clamp(min=2.0**-60)) * deviation
    return noise.to(device, dtype)
