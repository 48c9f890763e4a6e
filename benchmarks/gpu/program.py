"""On a GPU: equality first, then a decode step against the floor of memory bandwidth, and trials a second.

    python -m benchmarks.gpu [--models 1.4B,2.6B] [--rounds 5] [--minutes 8] [--out gpu.json] [--tiny --device cpu]

Before anything is timed, the steps from buffers must give the tokens that nnsight gives, on an organism. Shapes are
those of Ouro with random bfloat16 weights, made on the device. What no longer fits into the minutes is left out and
named. `--tiny` runs the whole program on a small shape. vLLM is not measured.
"""

import json
import sys
from pathlib import Path

import torch
import typer

from benchmarks.floors import bandwidth
from benchmarks.gpu.equality import check_equal, equality
from benchmarks.gpu.shapes import TINY, Extent, setting_of
from benchmarks.gpu.step_table import step_table
from benchmarks.gpu.trial_table import trial_table
from benchmarks.timing import OUT, Budget, machine, show_machine
from introspect.families.placement import device_named
from introspect.injection.step.engines import EngineName


def main(
    models: str = "1.4B,2.6B",
    rounds: int = 5,
    minutes: float = 8.0,
    out: Path = Path("gpu.json"),
    *,
    tiny: bool = False,
    device: str = "cuda",
) -> None:
    """Measure all shapes, print their tables, and write them as JSON."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        sys.stderr.write("benchmarks.gpu: no CUDA device is here; --tiny --device cpu tries the program out\n")
        raise typer.Exit(2)
    where, left, extent = device_named(device), Budget(60 * minutes), TINY if tiny else Extent()
    engines: tuple[EngineName, ...] = ("graph", "graph:cuda") if where.type == "cuda" else ("graph",)
    same = equality(device, engines, extent.compared, extent.long)
    check_equal(same)
    speed = bandwidth(where, extent.copied)
    nominal = "unknown" if speed.nominal is None else f"{speed.nominal / 1e9:.0f} GB/s"
    OUT.print(f"memory bandwidth: {speed.measured / 1e9:.0f} GB/s in a copy, nominal {nominal}")
    steps: list[dict[str, object]] = []
    trials: list[dict[str, object]] = []
    for name in ["tiny"] if tiny else models.split(","):
        made = setting_of(name, device)
        steps += step_table(name, made, extent, engines, speed, rounds, left)
        trials += trial_table(name, made, extent, engines, rounds, left)
        del made
        if where.type == "cuda":
            torch.cuda.empty_cache()
    found = {"equality": same, "bytes a second": vars(speed), "steps": steps, "trials": trials}
    out.write_text(json.dumps({"machine": dict(machine(device)), **found}, indent=1) + "\n")
    show_machine(device)
    OUT.print(f"all of it as JSON: {out}")
