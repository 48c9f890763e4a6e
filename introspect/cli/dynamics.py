"""The command `dynamics`: do the loops settle, and where does an injection go?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from introspect.cli.given import OF_RUN, Width, refuse_beside, refuse_of_run, with_source
from introspect.experiment.options import DEFAULT_MODEL, Options

Place = Annotated[str, typer.Option(help="Where to inject: all, 0,2, 1-3, or a relative depth such as 0.5.")]
Baseline = Annotated[str | None, typer.Option(help="A feed-forward model to draw the stages of each loop beside.")]
Full = Annotated[
    bool, typer.Option("--full", help="All concepts and their prompts; a sample that takes a minute when left out.")
]
_Grid = Annotated[bool, typer.Option("--grid", help="Only the design study: re-feed, norm and size of small stacks.")]


_SAID = ("model", "concepts", "loops", "layers", "strengths", "n_loops", "seed", "dtype", *OF_RUN)
"""What a run says for itself."""


@with_source
def dynamics(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="Hub id, folder, GGUF file, or organism:NAME.")] = DEFAULT_MODEL,
    run: Annotated[Path | None, typer.Option(help="Run of a sweep: its model, concepts, sites, strengths.")] = None,
    texts: Annotated[Path | None, typer.Option(help="A .txt, one a line, or a .csv with a column text.")] = None,
    recurrences: Annotated[int, typer.Option(help="Loops after which a state counts as its fixed point.")] = 128,
    attention_loops: Annotated[int, typer.Option(help="Loops over which attention is measured.")] = 8,
    follow: Annotated[int, typer.Option(help="Loops run with an injection, at least.")] = 16,
    max_tokens: Annotated[int, typer.Option(help="Texts are cut after so many tokens.")] = 128,
    baseline: Baseline = None,
    full: Full = False,
    grid: _Grid = False,
    blocks: Annotated[str, typer.Option(help="With --grid: numbers of blocks, such as 4,12.")] = "4,8,12",
    train_steps: Annotated[int, typer.Option(help="With --grid: steps of training; 0: random weights only.")] = 300,
    concepts: Annotated[str | None, typer.Option(help="SET, SET:SPLIT or words, such as dust,snow.")] = None,
    loops: Place = "all",
    layers: Place = "all",
    strengths: Annotated[str, typer.Option(help="In units of the vector, such as 1,2.")] = "2",
    n_loops: Annotated[str | None, typer.Option(help="Loops run; as trained when left out.")] = None,
    seed: Annotated[int, typer.Option(help="Key of the random directions.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16, float64.")] = "auto",
    batch_size: Annotated[int | None, typer.Option(help="Rows in a batch; 32 when left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; RUN/analyses/dynamics or runs/MODEL-dynamics.")] = None,
    width: Width = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it takes; store nothing.")] = False,
    **source: Any,  # Any: as `with_source` declares them
) -> None:
    """Measure whether the loops settle, and where injections go: washed out, changed, or there and unnoticed.

    Example: introspect dynamics organism:huginn --recurrences 64 --concepts snow,bread,river
    """
    if grid:
        refuse_beside(ctx, "grid", [*_SAID, "run", "texts", "baseline", "full", "follow", "attention_loops"])
        _grid(blocks, recurrences, train_steps, out, width, dry_run=dry_run)
        return
    refuse_of_run(ctx, _SAID, run)
    where = {"loops": loops, "layers": layers, "strengths": strengths, "n_loops": n_loops}
    how = {"questions": "detect", "concepts": concepts, "seed": seed, "batch_size": batch_size}
    here = {"device": device, "dtype": dtype}
    options = Options(model=model, **where, **how, **here, **source)  # type: ignore[arg-type]
    sizes = {"recurrences": recurrences, "attention_loops": attention_loops, "follow": follow}
    settings = {**sizes, "texts": texts, "max_tokens": max_tokens, "baseline": baseline, "full": full}
    _dynamics(options, settings, run, out, width, dry_run=dry_run)


def _dynamics(
    options: Options,
    given: dict[str, Any],  # Any: what is asked, which checks itself
    run: Path | None,
    out: Path | None,
    width: str | None,
    *,
    dry_run: bool,
) -> None:
    from introspect.analyses.dynamics.cost import dynamics_cost
    from introspect.analyses.dynamics.dynamics import Settings, analysed, open_dynamics
    from introspect.analyses.kept_units import keeping
    from introspect.analyses.subject import folder_of
    from introspect.cli.printing import print_analysis
    from introspect.cli.progress import Progress
    from introspect.results.figures.layout import page_width

    folder = folder_of("dynamics", options, run, out)
    opened = open_dynamics(options, Settings(**given), run)
    if dry_run:
        taken = dynamics_cost(opened)
        typer.echo(f"{taken.texts} texts, {taken.trials} injected trials and controls")
        typer.echo(f"{taken.forwards} forwards, {taken.block_forwards} token-block forwards")
        typer.echo(f"about {taken.bytes / 1e6:.0f} MB beside the weights")
        return
    with page_width(width), Progress("units") as progress, keeping(folder, progress.report) as keep:
        analysis = analysed(opened, keep)
        paths = analysis.write(folder)
    print_analysis(analysis.sentences, paths)


def _grid(blocks: str, recurrences: int, steps: int, out: Path | None, width: str | None, *, dry_run: bool) -> None:
    from introspect.results.store.folder import refuse_file
    from introspect.selection import counts

    sizes, folder = counts(blocks, option="blocks"), out or Path("runs/dynamics-grid")
    refuse_file(folder)
    from introspect.analyses.dynamics.design_grid import check_study, design_study, stacks
    from introspect.cli.printing import print_analysis
    from introspect.results.figures.layout import page_width

    check_study(sizes, recurrences, steps)
    if dry_run:
        typer.echo(f"{len(stacks(sizes, steps=steps))} stacks of {blocks} blocks, each run for {recurrences} loops")
        return
    with page_width(width):
        analysis = design_study(sizes, recurrences=recurrences, steps=steps)
    print_analysis(analysis.sentences, analysis.write(folder))
