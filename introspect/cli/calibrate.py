"""The command `calibrate`: the organisms swept, and what is known about them recovered."""

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    out: Annotated[Path, typer.Option(help="Folder for the runs.")] = Path("runs/calibration"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16, float64.")] = "auto",
) -> None:
    """Sweep the shipped organisms and hold what is measured against what is known about them.

    Ends with exit code 1 when a truth is not recovered: then do not believe results on real models either.
    """
    from introspect.calibration import calibrate as run_calibration
    from introspect.cli.printing import print_calibration
    from introspect.cli.progress import Progress

    with Progress() as progress:
        checked = run_calibration(out, device=device, dtype=dtype, report=progress.report)
    print_calibration(checked, out)
    if not all(check.recovered for check in checked):
        raise typer.Exit(1)
