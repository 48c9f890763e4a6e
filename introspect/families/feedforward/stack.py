"""_Stack: the blocks of a feed-forward model of transformers, in a list that runs them in any order and number.

Goes in: a model whose own forward walks through a list of blocks. Comes out: the same model, whose forward can be told
how often the middle of the list is run, behind which site to go on, and which loop's end to read out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicCache

from introspect.families.parts.cache_loops import check_cache
from introspect.models.looped_layers import LoopedLayers
from introspect.records.site import CODA, PRELUDE, Site

_Given = tuple[tuple[Any, ...], dict[str, Any]]  # Any: whatever a model hands its blocks
"""Arguments of one block, beside the residual stream."""


@dataclass(frozen=True)
class Course:
    """How one forward runs."""

    n_loops: int = 1
    after: Site | None = None
    """Go on behind this site."""
    lens: int | None = None
    """Read the end of this loop out through the coda, as if it were the last of `n_loops`."""
    state: Tensor | None = None
    """Where it goes on, or what is read out, `(batch, position, d_model)`; None: it begins with the tokens."""


class _Step(nn.Module):
    """Puts out the residual stream behind a looped block: before the block, and a part of what the block added."""

    def forward(self, before: Tensor, behind: Tensor, n_loops: int) -> Tensor:
        """Add one part of so many of the block's update; all are `(batch, position, d_model)`."""
        return behind if n_loops == 1 else before + (behind - before) / n_loops


class _Stack(nn.ModuleList):
    """Stands in place of a model's list of blocks, under the same weight names.

    Each family makes its masks and angles in its own way. So the model's own forward walks through the list and hands
    each block its arguments; they are kept, and nothing is run until it is the last block's turn, when all run as
    planned. The cache has one slot a site, numbered as the sites run, and behind these one a block of the coda for
    each loop but the last: what it saw when that loop was read out.
    """

    def __init__(self, blocks: Iterable[nn.Module], loop: LoopedLayers) -> None:
        super().__init__(blocks)
        self.loop = loop
        self.course: Course | None = None
        """Of the forward under way; without one this is a list like any other."""
        core = loop.stages(range(len(self)))[1]
        self.steps = tuple(_Step() for _ in core) if loop.step == "damped" else ()  # a tuple adds no names to weights
        self._turns = tuple(_Turn(self, number) for number in range(len(self)))
        self._given: list[_Given] = []

    @property
    def stages(self) -> tuple[tuple[nn.Module, ...], ...]:
        """Return the modules whose output is the residual stream at the sites of prelude, core and coda."""
        before, core, behind = (tuple(stage) for stage in self.loop.stages(list(self._modules.values())))
        return before, self.steps or core, behind

    def __iter__(self) -> Iterator[nn.Module]:
        """Walk through the blocks; in a forward, through their turns."""
        return super().__iter__() if self.course is None else iter(self._turns)

    def __getitem__(self, index: int | slice) -> Any:  # Any: as in nn.ModuleList, a module or a list of them
        """Take a block or several; in a forward, their turns."""
        return super().__getitem__(index) if self.course is None else self._turns[index]

    def take(self, number: int, h: Tensor, given: _Given) -> Tensor:
        """Keep what the model hands to one of its blocks; at the last one, run them all."""
        if number == 0:
            self._given.clear()
        self._given.append(given)
        assert len(self._given) == number + 1, f"block {number} had its turn behind {len(self._given) - 1} others"
        return self._run(h) if len(self._given) == len(self) else h

    def _run(self, h: Tensor) -> Tensor:
        """Run the blocks as planned, from the embedded tokens or from where the course says."""
        course, blocks = self.course, list(self._modules.values())
        assert course is not None, "turns are had in a forward of the model only"
        h = h if course.state is None else course.state
        for site, number, slot in self._ahead(course):
            arguments, named = _with_slot(self._given[number], slot)
            behind = blocks[number](h, *arguments, **named)
            damped = self.steps and site.stage == "core"
            h = self.steps[site.layer](h, behind, course.n_loops) if damped else behind
        self._given.clear()
        return h

    def _ahead(self, course: Course) -> Iterator[tuple[Site, int, int]]:
        """Yield each site that is run, with the number of its block and its slot of the cache."""
        before, core, behind = self.loop.stages(range(len(self)))
        passes = [(Site(PRELUDE, layer), number) for layer, number in enumerate(before)]
        passes += [(Site(loop, layer), number) for loop in range(course.n_loops) for layer, number in enumerate(core)]
        passes += [(Site(CODA, layer), number) for layer, number in enumerate(behind)]
        earlier = 0 if course.lens is None or course.lens == course.n_loops - 1 else course.lens + 1
        for slot, (site, number) in enumerate(passes):
            if site.stage == "coda" if course.lens is not None else course.after is None or site > course.after:
                yield site, number, slot + earlier * len(behind)


class _Turn(nn.Module):
    """What the model's own forward finds in place of a block."""

    def __init__(self, stack: _Stack, number: int) -> None:
        super().__init__()
        self._of = stack, number  # in a tuple, since a module in a module would become a part of it

    def forward(self, hidden_states: Tensor, *arguments: Any, **named: Any) -> Tensor:
        stack, number = self._of
        return stack.take(number, hidden_states, (arguments, named))


class _Slot(Cache):
    """One slot of a cache, whichever layer the block that uses it takes itself for."""

    def __init__(self, cache: Cache, slot: int) -> None:
        super().__init__(layers=[])
        self._of = cache, slot

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *more: Any, **named: Any) -> Any:  # noqa: ARG002
        cache, slot = self._of
        return cache.update(key_states, value_states, slot, *more, **named)


def stacked(model: Any, name: str, loop: LoopedLayers) -> _Stack:
    """Put a _Stack in place of the list of that name in a model's base, and let the model's forward take a course.

    The forward then takes `n_loops`, and `after` or `lens` with the state in `inputs_embeds`.
    """
    stack = _Stack(getattr(model.base_model, name), loop)
    setattr(model.base_model, name, stack)
    if stack.steps:
        model.base_model.steps = nn.ModuleList(stack.steps)  # where a tap finds them; they have no weights

    def begin(whole: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        given = {key: named.pop(key) for key in ("n_loops", "after", "lens") if key in named}
        inside = given.keys() & {"after", "lens"}
        course = Course(**given, state=named["inputs_embeds"] if inside else None)
        if named.get("use_cache", True) and named.get("past_key_values") is None:
            named["past_key_values"] = DynamicCache()  # the model's own may have one slot a layer, and no more
        check_cache(named.get("past_key_values"), course.n_loops)
        getattr(whole.base_model, name).course = course  # of the model that is run, which may be a copy
        return arguments, named

    def end(whole: Any, *_: Any) -> None:
        getattr(whole.base_model, name).course = None

    model.register_forward_pre_hook(begin, with_kwargs=True)
    model.register_forward_hook(end, always_call=True)
    return stack


def _with_slot(given: _Given, slot: int) -> _Given:
    """Let a block use one slot of the cache among its arguments."""
    arguments, named = given
    return tuple(_slotted(each, slot) for each in arguments), {key: _slotted(each, slot) for key, each in named.items()}


def _slotted(argument: Any, slot: int) -> Any:
    return _Slot(argument, slot) if isinstance(argument, Cache) else argument
