"""A second device that is not there: torch on the CPU, as strict as if some tensors lay on an accelerator.

Parameters and buffers are placed on it. What is made without `device=` is on the CPU, results inherit. An operation
that mixes both raises with the line of the package; so does a copy to the host where none is planned.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

import introspect

PACKAGE = str(Path(introspect.__file__).parent)
CARD = torch.device("cuda", 0)
"""What tensors on the accelerator say of themselves."""
CPU = torch.device("cpu")

aten = torch.ops.aten
CROSSING = {aten.copy_.default, aten._to_copy.default}
"""Operations that may have both: they copy from one to the other."""
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
"""Operations whose indices may be on the CPU, as long as nothing else is."""
SYNCHRONOUS = {
    *(aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default),
    *(aten.is_nonzero.default, aten._unique2.default, aten.unique_dim.default, aten.repeat_interleave.Tensor),
}
"""Operations whose result, or its shape, the host has to wait for."""


READ = {Tensor.tolist, Tensor.item, Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__}
"""What gives the host numbers; on the CPU torch reads some of them without any operation that could be watched."""


class MixedDevicesError(RuntimeError):
    """An operation that would fail, or wait where it must not, on a machine with an accelerator."""


class Accelerator:
    """The accelerator; `with accelerator:` makes torch pretend that it is there."""

    def __init__(self) -> None:
        self.copies: list[str] = []
        """Lines of the package that have copied to the host, in their order."""
        self.within: list[str] = []
        """Those of them that lie within a step."""
        self.forbidding = False
        """Whether a copy to the host raises, but for those in `planned` functions of the package."""
        self.planned: Sequence[str] = ()
        self._modes = _Functions(self), _Operations(self)

    def __enter__(self) -> "Accelerator":
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)

    @contextmanager
    def step(self, planned: Sequence[str]) -> Iterator[None]:
        """Forbid copies to the host inside, but for those in these functions."""
        before = self.forbidding, self.planned
        self.forbidding, self.planned = True, planned
        try:
            yield
        finally:
            self.forbidding, self.planned = before

    def copied(self, what: object) -> None:
        """Take note of a copy to the host."""
        line, function = _ours()
        self.copies.append(line)
        if self.forbidding:
            self.within.append(line)
        if self.forbidding and function not in self.planned:
            raise MixedDevicesError(f"{line}: {what} copies to the host within a step")


def put(model: torch.nn.Module) -> None:
    """Put the parameters and buffers of a model on the accelerator."""
    for tensor in (*model.parameters(), *model.buffers()):
        place(tensor, CARD)


def place(tensor: Tensor, device: torch.device) -> None:
    """Say where a tensor is, and with it all that shares its memory."""
    tensor.untyped_storage().__dict__["place"] = device


def placed(tensor: Tensor) -> torch.device:
    """Say where a tensor is."""
    return tensor.untyped_storage().__dict__.get("place", CPU)


class _Operations(TorchDispatchMode):
    """Watches every operation, those within torch's own functions too."""

    def __init__(self, of: Accelerator) -> None:
        super().__init__()
        self.of = of
        self.wanted: list[torch.device] = []
        """Where what is made just now shall be."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
        places = {placed(each) for each in tensors if each.ndim or placed(each) == CARD}
        if len(places) > 1 and func not in CROSSING and not _indexing(func, args):
            raise MixedDevicesError(f"{_ours()[0]}: {func} mixes the CPU and the accelerator")
        if CARD in places and (func in SYNCHRONOUS or _by_mask(func, args)):
            self.of.copied(func)
        if func is aten.copy_.default and placed(args[0]) == CPU and placed(args[1]) == CARD:
            self.of.copied(func)
        made = func(*args, **kwargs)
        if func is aten.copy_.default:
            return made
        where = CARD if CARD in places else CPU
        if not tensors or func in (aten.lift_fresh.default, aten._to_copy.default):
            where = self.wanted[-1] if self.wanted else where
        for each in tree_flatten(made)[0]:
            if isinstance(each, Tensor) and not any(_shares(each, tensor) for tensor in tensors):
                place(each, where)
        if func is aten.lift_fresh.default:
            place(made, where)
        return made


class _Functions(TorchFunctionMode):
    """Answers for devices: where a tensor is, where it shall be, and what leaves for the host."""

    def __init__(self, of: Accelerator) -> None:
        super().__init__()
        self.of = of

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _ANSWERS:
            return _ANSWERS[func](args[0])
        if func in (Tensor.numpy, Tensor.__array__) and placed(args[0]) == CARD:
            raise MixedDevicesError(f"{_ours()[0]}: numpy cannot read what is on the accelerator")
        if func in READ and placed(args[0]) == CARD:
            self.of.copied(func.__name__)
        if func is Tensor.cpu:
            return self._moved(args[0], args[0], CPU)
        if func is Tensor.to:
            return self._to(args, kwargs)
        wanted = kwargs.get("device")
        if wanted is not None:
            return self._made(func, args, kwargs | {"device": CPU}, torch.device(wanted))
        made = func(*args, **kwargs)
        if func in (torch.from_numpy, torch.frombuffer):
            place(made, CPU)
        return made

    def _to(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        tensor, *rest = args
        target, kept = placed(tensor), []
        for each in (*rest, *([kwargs.pop("device")] if "device" in kwargs else ())):
            if isinstance(each, Tensor):
                target = placed(each)
                kept.append(each.dtype)
            elif isinstance(each, torch.device | str):
                target = torch.device(each)
            elif each is not None:
                kept.append(each)
        made = Tensor.to(tensor, *kept, **kwargs) if kept or kwargs else tensor
        return self._moved(tensor, made, target)

    def _moved(self, tensor: Tensor, made: Tensor, target: torch.device) -> Tensor:
        """Return a tensor that is at the target; one that comes from elsewhere has memory of its own."""
        if placed(tensor).type == target.type:
            return made
        if target.type == "cpu":
            self.of.copied("cpu")
        made = made.clone() if _shares(made, tensor) else made
        place(made, CPU if target.type == "cpu" else CARD)
        return made

    def _made(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wanted: torch.device) -> Any:
        operations = self.of._modes[1]
        operations.wanted.append(CPU if wanted.type == "cpu" else CARD)
        try:
            made = func(*args, **kwargs)
        finally:
            operations.wanted.pop()
        return tree_map(lambda each: _put(each, wanted), made)


def _put(made: Any, wanted: torch.device) -> Any:
    if isinstance(made, Tensor):
        place(made, CPU if wanted.type == "cpu" else CARD)
    return made


_ANSWERS: dict[Any, Callable[[Tensor], Any]] = {
    Tensor.device.__get__: placed,
    Tensor.is_cuda.__get__: lambda tensor: placed(tensor) == CARD,
    Tensor.is_cpu.__get__: lambda tensor: placed(tensor) == CPU,
    Tensor.get_device: lambda tensor: 0 if placed(tensor) == CARD else -1,
}


def _shares(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage()._cdata == other.untyped_storage()._cdata


def _indexing(func: Any, args: tuple[Any, ...]) -> bool:
    """Tell whether an operation only has its indices on the CPU, which torch lets pass."""
    if func not in INDEXING or placed(args[0]) != CARD:
        return False
    return all(placed(each) == CARD or not each.ndim for each in args[2:] if isinstance(each, Tensor))


def _by_mask(func: Any, args: tuple[Any, ...]) -> bool:
    """Tell whether an operation has a mask among its indices, whose true places the host must count."""
    if func not in INDEXING:
        return False
    return any(each is not None and each.dtype == torch.bool and placed(each) == CARD for each in args[1])


def _ours() -> tuple[str, str]:
    """Return the innermost line of the package, and the name of its function."""
    frame = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back  # type: ignore[assignment]  # the outermost has none
    if frame is None:
        return "outside of the package", ""
    code = frame.f_code
    return f"{code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno} ({code.co_name})", code.co_name
