"""Variants run in turn in one process, round after round, and what is printed of them.

Goes in: functions, each with the number of trials that it runs. Come out: seconds a trial in every round.
"""

import datetime
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil
import torch
from rich.console import Console
from rich.table import Table

OUT = Console(highlight=False, soft_wrap=True, emoji=False)


@dataclass(frozen=True)
class Variant:
    """One way to do the work."""

    name: str
    run: Callable[[], object]
    n: int
    """Trials that one run does."""


@dataclass(frozen=True)
class Ratio:
    """Median, least and largest of the rounds."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write as `2.10 (2.05-2.20)`."""
        return f"{self.middle:.2f} ({self.low:.2f}-{self.high:.2f})"


def seconds(run: Callable[[], object]) -> float:
    """Time one run, the device's work included."""
    synchronize()
    begin = time.perf_counter()
    run()
    synchronize()
    return time.perf_counter() - begin


def synchronize() -> None:
    """Wait for the device, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Budget:
    """Time that may be spent, from now on."""

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds

    @property
    def left(self) -> float:
        """Return the seconds that are left; below 0 when it is overspent."""
        return self._end - time.perf_counter()


def in_turn(variants: Sequence[Variant], rounds: int, budget: Budget | None = None) -> dict[str, list[float]]:
    """Run all variants `rounds` times, one after the other in each round; give seconds a trial.

    A round that, going by the one before, would overspend the budget is left out, and so are all after it.
    """
    taken: dict[str, list[float]] = {variant.name: [] for variant in variants}
    last = 0.0
    for _ in range(rounds):
        if budget is not None and budget.left < last:
            break
        begin = time.perf_counter()
        for variant in variants:
            taken[variant.name].append(seconds(variant.run) / variant.n)
        last = time.perf_counter() - begin
    return taken


def ratio(of: Sequence[float], to: Sequence[float]) -> Ratio:
    """Compare round by round."""
    ratios = [one / other for one, other in zip(of, to, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))


def best_of(make: Callable[[int], Variant], sizes: Sequence[int]) -> int:
    """Return the batch size with the least seconds a trial, each tried once after a short one to warm up."""
    make(min(sizes)).run()
    variants = {size: make(size) for size in sizes}
    return min(sizes, key=lambda size: seconds(variants[size].run) / variants[size].n)


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in full width, as it can be pasted."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(str(value) for value in row))
    (OUT if OUT.is_terminal else Console(width=160, highlight=False, emoji=False)).print(table)


def show_machine(device: str = "cpu") -> None:
    """Print machine, versions and date in three lines."""
    for name, value in machine(device).items():
        OUT.print(f"{name}: {value}", markup=False)


def machine(device: str = "cpu") -> Mapping[str, str]:
    """Describe what this runs on."""
    parts = [_cpu(), f"{psutil.cpu_count()} cores ({torch.get_num_threads()} threads)"]
    parts.append(f"{psutil.virtual_memory().total / 2**30:.0f} GiB")
    if device.startswith("cuda"):
        parts.append(torch.cuda.get_device_name(device))
    named = {"torch": "torch", "transformers": "transformers", "nnsight": "nnsight", "introspect": "introspect-loops"}
    versions = [f"python {platform.python_version()}", *(f"{name} {version(at)}" for name, at in named.items())]
    return {
        "machine": ", ".join(parts),
        "versions": ", ".join(versions),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _cpu() -> str:
    """Name the processor; Linux says it in a file, and elsewhere the platform does."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
