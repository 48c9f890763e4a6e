"""Devices and number formats: what auto means, and what is refused."""

import pytest
import torch

from introspect.errors import InputError
from introspect.families.placement import device_named, dtype_name, dtype_named


def machine(monkeypatch: pytest.MonkeyPatch, *, cuda: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("cuda", "mps", "chosen"), [(2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")])
def test_auto_is_cuda_then_mps_then_cpu(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, chosen: str) -> None:
    machine(monkeypatch, cuda=cuda, mps=mps)
    assert device_named("auto") == torch.device(chosen)


@pytest.mark.parametrize("name", ["cuda:2", "cuda:10", "mps", "mps:0", "cpu:1"])
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    machine(monkeypatch, cuda=2, mps=False)
    assert device_named("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match=f"device '{name}' is not there"):
        device_named(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "", "CPU", "meta"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="unknown device"):
        device_named(name)


def test_auto_is_bfloat16_on_a_gpu_and_float32_on_a_cpu() -> None:
    assert dtype_named("auto", torch.device("cuda")) == dtype_named("auto", torch.device("mps")) == torch.bfloat16
    assert dtype_named("auto", torch.device("cpu")) == torch.float32
    assert dtype_named("float64", torch.device("cpu")) == torch.float64


@pytest.mark.parametrize(("name", "device"), [("int8", "cpu"), ("", "cpu"), ("float64", "mps")])
def test_a_number_format_that_cannot_be_used_is_refused(name: str, device: str) -> None:
    with pytest.raises(InputError, match=f"dtype '{name}'"):
        dtype_named(name, torch.device(device))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_a_number_format_is_read_as_it_is_written(dtype: torch.dtype) -> None:
    assert dtype_named(dtype_name(dtype), torch.device("cpu")) is dtype
