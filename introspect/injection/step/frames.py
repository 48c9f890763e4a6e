"""Steps whose shapes and addresses never change, so that one can be captured and played again: compiled, or as a graph.

Goes in: a prompt and the most rows. Comes out: a Frame, whose buffers are filled and whose step is then played. It is
kept for the next trials of the same shapes, since capturing takes much longer than a step.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from introspect.errors import InputError
from introspect.injection.prefix.prefix import Prefix
from introspect.injection.step.additions import Additions
from introspect.injection.step.engines import EngineName
from introspect.models.bare_copy import bare_copy
from introspect.models.row_cache import RowCache
from introspect.models.tap import Tap

_Key = tuple[int, str, int, int, int, bool]
"""Loops, exit, shared and own columns of the prompt, new tokens, and whether anything is added to answers."""
KEPT_FRAMES = 2
"""Frames that are there at once; each has a cache of its own."""


class Frame:
    """All that a step reads and writes, in place, and the step."""

    def __init__(self, tap: Tap, prefix: Prefix, rows: int, new_tokens: int, backend: EngineName) -> None:
        looped, goes_on = tap.looped, prefix.encoded.span_stop is None
        keys, values = (part.clone() for part in prefix.clean.shared)
        self.rows, self.split, self.backend = rows, prefix.split, backend
        self.cache = RowCache(
            keys, values, rows, prefix.length + new_tokens, both_ways=prefix.clean.both_ways, apart=True
        )
        model = bare_copy(looped.model)  # of its own, so that nothing else hangs at its blocks
        sites = looped.sites(prefix.n_loops) if goes_on else []
        self.additions = Additions(looped, model, sites, prefix.n_loops, rows)
        self.tokens = torch.zeros(rows, 1, dtype=torch.long, device=looped.device)
        self.filled = torch.zeros(rows, dtype=torch.long, device=looped.device)
        arguments = looped.forward_arguments(prefix.n_loops) | prefix.exit_arguments
        self.model, self._arguments = model, arguments | {"use_cache": True, "logits_to_keep": 1}
        self._play: Callable[[], Tensor] | None = None

    def begin(self, prefix: Prefix) -> None:
        """Take the beginning of another prompt of the same shapes, and forget the rows."""
        for mine, others in zip(self.cache.shared, prefix.clean.shared, strict=True):
            mine.copy_(others)
        self.additions.clear()
        self.filled.zero_()

    def step(self, last: Sequence[int], filled: Sequence[int]) -> Tensor:
        """Run the rows and return the logits of those that are taken, `(rows, vocabulary)`."""
        told = torch.tensor([list(last), list(filled)], device=self.tokens.device)
        n = len(last)
        self.tokens[:n, 0], self.filled[:n] = told[0], told[1]
        if self._play is None:
            self._play = self._captured()
        return self._play()[:n]

    def _captured(self) -> Callable[[], Tensor]:
        """Run the step once as it is, under the eyes of its guard, and then capture it."""
        self._guarded()
        if self.backend == "graph:cuda":
            with torch.cuda.device(self.tokens.device):
                return self._graph()
        compiled: Callable[[Tensor, Tensor], Tensor] = torch.compile(self._step, fullgraph=True, dynamic=False)
        self.additions.begin()
        try:
            compiled(self.tokens, self.filled)
        except (torch._dynamo.exc.TorchDynamoException, torch._inductor.exc.InductorError) as error:
            why = " ".join(line.strip() for line in str(error).split("\n\n")[0].splitlines())
            raise InputError(f"engine {self.backend!r}: the step of this model cannot be compiled: {why}") from None

        def play() -> Tensor:
            self.additions.begin()  # what Python keeps is as it was, so that nothing is compiled anew
            return compiled(self.tokens, self.filled)

        return play

    def _graph(self) -> Callable[[], Tensor]:
        """Capture the step as a CUDA graph. Only ever run on a pretended one: no GPU was at hand."""
        aside = torch.cuda.Stream(self.tokens.device)
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):  # what libraries allocate on first use must not be part of the graph
                self._guarded()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = self._guarded()

        def play() -> Tensor:
            graph.replay()
            return logits

        return play

    def _guarded(self) -> Tensor:
        """Run the step of these buffers, in which every site must be visited once."""
        self.additions.begin()
        logits = self._step(self.tokens, self.filled)
        self.additions.end()
        return logits

    def _step(self, tokens: Tensor, filled: Tensor) -> Tensor:
        self.cache.aim_at(filled)
        where = {"position_ids": (self.split + filled)[:, None], "past_key_values": self.cache}
        logits: Tensor = self.model(input_ids=tokens, **where, **self._arguments).logits[:, -1]
        return logits


class Frames:
    """The frames of one engine, by their shapes; the last KEPT_FRAMES are kept. One of more rows serves for fewer."""

    def __init__(self, tap: Tap, backend: EngineName) -> None:
        self._tap, self._backend = tap, backend
        self._frames: dict[Any, Frame] = {}

    def of(self, prefix: Prefix, rows: int, new_tokens: int) -> Frame:
        """Return the frame for trials of a prompt, ready to be filled."""
        goes_on = prefix.encoded.span_stop is None
        key: _Key = (prefix.n_loops, prefix.exit, prefix.split, prefix.length, new_tokens, goes_on)
        if key in self._frames and self._frames[key].rows < rows:
            del self._frames[key]
        if key not in self._frames:
            if len(self._frames) == KEPT_FRAMES:
                del self._frames[next(iter(self._frames))]
            self._frames[key] = Frame(self._tap, prefix, rows, new_tokens, self._backend)
        frame = self._frames[key] = self._frames.pop(key)  # the one used last stands last
        frame.begin(prefix)
        return frame
