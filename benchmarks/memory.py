"""Peak memory of one batch in a process of its own, against what the dry run estimates for it.

    python -m benchmarks.memory ROWS [--n-layers 4] [--n-loops 4] [--new-tokens 100] [--device cpu]

Prints one line of JSON: measured and estimated bytes, the weights left out. On a CPU the process's largest resident
size is read, minus its size after a batch of one row; on CUDA, torch's own counters.
"""

import json
import resource
import subprocess
import sys

import psutil
import torch
import typer

from benchmarks.setting import Setting, plain_copy, random_model, random_vectors, setting, shape
from introspect.injection.prefix.memory import bytes_per_row


def in_process_of_its_own(rows: int, n_layers: int, n_loops: int, new_tokens: int) -> dict[str, int]:
    """Measure a batch of so many rows in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.memory", str(rows)]
    command += ["--n-layers", str(n_layers), "--n-loops", str(n_loops), "--new-tokens", str(new_tokens)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, int] = json.loads(ran.stdout.splitlines()[-1])
    return measured


def main(rows: int, n_layers: int = 4, n_loops: int = 4, new_tokens: int = 100, device: str = "cpu") -> None:
    """Measure one batch and print it."""
    looped = random_model(shape(128, 256, 4, n_layers=n_layers, n_loops=n_loops), device=device)
    made = setting(looped, plain_copy(looped), random_vectors(looped))
    estimated = rows * bytes_per_row(looped, made.encoded, n_loops=n_loops, max_new_tokens=new_tokens)
    print(json.dumps({"measured": peak(made, rows, new_tokens), "estimated": estimated}))


def peak(made: Setting, rows: int, new_tokens: int) -> int:
    """Return the bytes by which memory grows while a batch is run."""
    made.engine.run(made.trials(1, 2))
    trials = made.trials(rows, new_tokens)
    if made.looped.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        made.engine.run(trials)
        return torch.cuda.max_memory_allocated() - before
    before = psutil.Process().memory_info().rss
    made.engine.run(trials)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before


if __name__ == "__main__":
    typer.run(main)
