"""The commands that run a model: `sweep` and `calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from introspect.options import DEFAULT_MODEL, Options

Loops = Annotated[str, typer.Option(help="Where to inject: all, 0,2, 1-3, or a relative depth such as 0.5.")]
Decided = Annotated[
    str | None, typer.Option(help="Grader: end an answer once its grade is settled; answers go on when left out.")
]
Workers = Annotated[
    int | None, typer.Option(help="Processes on this machine, one a GPU; with --ray, actors of the cluster.")
]
Ray = Annotated[str | None, typer.Option(help="Run on a Ray cluster: its address, auto, or local for one here.")]


def sweep(
    model: Annotated[str, typer.Argument(help="Hub id, folder, or organism:NAME.")] = DEFAULT_MODEL,
    loops: Loops = "all",
    layers: Loops = "all",
    total_loops: Annotated[
        int | None, typer.Option(help="Loops run in every forward; as trained when left out.")
    ] = None,
    inject: Annotated[str, typer.Option(help="each: one site a trial. together: all sites at once.")] = "each",
    extract: Annotated[str, typer.Option(help="Loops whose vectors are injected: same, all, or 0,2.")] = "same",
    concepts: Annotated[
        str | None, typer.Option(help="SET, SET:SPLIT or words, such as published, organisms:held-out, dust,snow.")
    ] = None,
    contrast: Annotated[str, typer.Option(help="How vectors are made: baseline, or pairs.")] = "baseline",
    pairs: Annotated[str, typer.Option(help="Prompt pairs for --contrast pairs: pairs, or a CSV file.")] = "pairs",
    strengths: Annotated[str, typer.Option(help="Multiples of the vector, such as 0.5,1,2.")] = "1,2,4",
    strength_unit: Annotated[str, typer.Option(help="vector, or residual (multiples of its norm).")] = "vector",
    arms: Annotated[str, typer.Option(help="injected, none, random.")] = "injected,none,random",
    template: Annotated[str, typer.Option(help="A shipped template, or a .j2 file.")] = "detect",
    repeats: Annotated[int, typer.Option(help="Trials that differ in nothing but their draws.")] = 1,
    seed: Annotated[int, typer.Option(help="Key of all draws.")] = 0,
    temperature: Annotated[float, typer.Option(help="0 takes the most probable token.")] = 1.0,
    top_p: Annotated[float, typer.Option(help="Share of the probability that is drawn from.")] = 1.0,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 100,
    grader: Annotated[str, typer.Option(help="rules, logits, or both separated by a comma.")] = "rules",
    decided_by: Decided = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16, float64.")] = "auto",
    batch_size: Annotated[int | None, typer.Option(help="Rows in a batch; as many as fit when left out.")] = None,
    workers: Workers = None,
    ray: Ray = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/MODEL-PROTOCOL when left out.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count and estimate, for one worker; store nothing.")
    ] = False,
) -> None:
    """Inject concept vectors at every chosen loop and layer, ask, grade, and write tables and figures.

    Example: introspect sweep organism:aware --loops all --strengths 0.5,1,2
    """
    options = Options(**{name: value for name, value in locals().items() if name != "dry_run"})
    from introspect.cli.printing import Progress, print_estimate, print_swept
    from introspect.sweep import estimate, run_sweep
    from introspect.workers.crew import gpu_sharers

    if (sharers := gpu_sharers(options)) > 1:
        typer.echo(f"{options.workers} workers: up to {sharers} share a GPU", err=True)
    if dry_run:
        print_estimate(estimate(options))
        return
    with Progress() as progress:
        swept = run_sweep(options, progress.report)
    print_swept(swept)
    if swept.failed:
        raise typer.Exit(1)


def calibrate(
    out: Annotated[Path, typer.Option(help="Folder for the runs.")] = Path("runs/calibration"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16, float64.")] = "auto",
) -> None:
    """Sweep the shipped organisms and hold what is measured against what is known about them.

    Ends with exit code 1 when a truth is not recovered: then do not believe results on real models either.
    """
    from introspect.calibration import calibrate as run_calibration
    from introspect.cli.printing import Progress, print_calibration

    with Progress() as progress:
        checked = run_calibration(out, device=device, dtype=dtype, report=progress.report)
    print_calibration(checked, out)
    if not all(check.recovered for check in checked):
        raise typer.Exit(1)
