"""The command `trajectory`: the path of a token through loops and layers, injected and not."""

from pathlib import Path
from typing import Annotated, Any

import typer

from introspect.cli.given import OF_RUN, Width, refuse_of_run, with_source
from introspect.experiment.options import DEFAULT_MODEL, Options

_NAME = "trajectory"
DEFAULTS: dict[str, Any] = {"loops": "all", "layers": "0.5", "strengths": "1,2"}
DEFAULTS |= {"questions": "detect", "arms": "injected,none,random"}
"""What is injected where neither a run nor the user says it."""


@with_source
def trajectory(
    ctx: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help=f"Hub id, folder, GGUF file, or organism:NAME. [default: {DEFAULT_MODEL}]")
    ] = None,
    loops: Annotated[str | None, typer.Option(help="Where to inject: all, 0,2, 1-3, or 0.5. [default: all]")] = None,
    layers: Annotated[str | None, typer.Option(help="Where to inject, likewise. [default: 0.5, the middle]")] = None,
    concepts: Annotated[str | None, typer.Option(help="SET, SET:SPLIT or words, such as published, dust,snow.")] = None,
    strengths: Annotated[str | None, typer.Option(help="Multipliers of the vector. [default: 1,2]")] = None,
    n_loops: Annotated[int | None, typer.Option(help="Loops run; as trained when left out.")] = None,
    probe: Annotated[str, typer.Option(help="What names the concept in the cache: means, or logistic.")] = "means",
    run: Annotated[
        Path | None, typer.Option(help="Take all of that from the run of a sweep, and write into it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; runs/MODEL-trajectory when left out.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[
        str | None, typer.Option(help="auto, float32, bfloat16, float16, float64. [default: auto]")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows in a batch; as many as fit, at most 64.")] = None,
    seed: Annotated[int | None, typer.Option(help="Key of all draws. [default: 0]")] = None,
    width: Width = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it takes; store nothing.")] = False,
    **source: Any,  # Any: as `with_source` declares them
) -> None:
    """Follow the last token of a prompt through (loop, layer): geometry, lenses, and what the cache remembers.

    Everything is the difference between an injected trial and its control, beside that of a random direction.
    Example: introspect trajectory organism:aware --layers 1,2 --strengths 1,2
    """
    where = {"model": model, "loops": loops, "layers": layers, "strengths": strengths}
    asked: dict[str, Any] = {**where, "concepts": concepts, "seed": seed, "dtype": dtype}
    refuse_of_run(ctx, [*asked, *OF_RUN], run)
    said = {name: value for name, value in asked.items() if value is not None}
    here: dict[str, Any] = {**source, "device": device, "batch_size": batch_size}
    if run is None and n_loops is not None:
        said["n_loops"] = str(n_loops)
    options = Options(**({**DEFAULTS, **said} if run is None else {}), **here)
    _follow(options, run, probe, n_loops, out, width, dry_run=dry_run)


def _follow(
    options: Options,
    run: Path | None,
    probe: str,
    n_loops: int | None,
    out: Path | None,
    width: str | None,
    *,
    dry_run: bool,
) -> None:
    from introspect.analyses.subject import folder_of
    from introspect.analyses.trajectory.plan import planning
    from introspect.analyses.trajectory.trajectory import followed_paths
    from introspect.cli.printing import OUT, print_written
    from introspect.results.figures.layout import page_width

    folder = folder_of(_NAME, options, run, out)
    plan = planning(options, run=run, probe=probe, n_loops=n_loops)
    if dry_run:
        cost = plan.cost()
        OUT.print(f"{cost.trials} trials, and their controls, in {cost.forwards} forwards of up to {plan.size} rows")
        OUT.print(f"{cost.token_blocks:,} token-block forwards, about {cost.bytes / 1e6:.0f} MB beside the weights")
        return
    with page_width(width):
        analysis = followed_paths(plan)
    for sentence in analysis.sentences:
        OUT.print(sentence, markup=False)
    written = analysis.write(folder)
    for what, suffix in (("tables", ".csv"), ("figures", ".png"), ("page", ".html")):
        print_written(what, [path for path in written if path.suffix == suffix])
