"""The command `monitor`: what a model says against what its states know."""

from pathlib import Path
from typing import Annotated, Any

import typer

from introspect.cli.given import OF_RUN, Width, refuse_of_run, with_source
from introspect.experiment.options import DEFAULT_MODEL, Options

FULL = "All questions, loops 1-8, all concepts; a sample that takes a minute or two when left out."


_SAID = ("model", "loops", "concepts", "strengths", "repeats", "dtype", *OF_RUN)
"""What a run says for itself."""


@with_source
def monitor(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="Hub id, folder, GGUF file, or organism:NAME.")] = DEFAULT_MODEL,
    task: Annotated[
        str | None,
        typer.Option(help="Of arithmetic, two-hop, judgement, a CSV file (question,answer,correct), hf:NAME[:SPLIT]."),
    ] = None,
    questions: Annotated[
        str | None, typer.Option(help="held-out: those no organism was taught (its default); all (of other models).")
    ] = None,
    probe: Annotated[str, typer.Option(help="logistic, or means (difference of means).")] = "logistic",
    n_loops: Annotated[str | None, typer.Option(help="Loops run, each for itself; 1,2,4,8 when left out.")] = None,
    layers: Annotated[str, typer.Option(help="Where probes read (and vectors go): all, 0,2, 1-3, or 0.5.")] = "all",
    injected: Annotated[bool, typer.Option("--injected", help="Look at injected trials, planned as below.")] = False,
    run: Annotated[Path | None, typer.Option(help="Folder of a sweep: its model and injected trials.")] = None,
    texts: Annotated[
        Path | None,
        typer.Option(help="For the language-model loss: a .txt, one a line, or a .csv. Default: contrastive prompts."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help=FULL)] = False,
    loops: Annotated[str, typer.Option(help="Where vectors go: all, 0,2, 1-3, or 0.5.")] = "all",
    concepts: Annotated[str | None, typer.Option(help="SET, SET:SPLIT or words, such as dust,snow.")] = None,
    strengths: Annotated[str, typer.Option(help="Of the injected vectors, such as 0.5,1,2.")] = "1,2",
    repeats: Annotated[
        int, typer.Option(help="Trials of a concept and site, each with a trial number of its own.")
    ] = 4,
    seed: Annotated[int, typer.Option(help="Key of wrong answers, splits, shuffled labels and draws.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16, float64.")] = "auto",
    batch_size: Annotated[int | None, typer.Option(help="Rows in a batch; as many as fit when left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; RUN/analyses/monitor or runs/MODEL-monitor.")] = None,
    width: Width = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count forwards, fits and memory; store nothing.")] = False,
    **source: Any,  # Any: as `with_source` declares them
) -> None:
    """Compare what the model says of answers, or of injected thoughts, with what a probe reads from its states.

    Example: introspect monitor organism:solver --task two-hop --n-loops 1-8
    """
    refuse_of_run(ctx, _SAID, run)
    planned = {"questions": "detect", "arms": "injected,none,random", "trial_numbers": f"1-{max(1, repeats)}"}
    shared = {"model": model, "layers": layers, "loops": loops, "strengths": strengths, "concepts": concepts}
    where = {"device": device, "dtype": dtype, "n_loops": n_loops}
    given: dict[str, Any] = {**planned, **shared, **where, **source}  # Any: the options, which check themselves
    options = Options(**given, repeats=repeats, seed=seed, batch_size=batch_size)
    asked = {"tasks": task, "part": questions, "injected": injected, "run": run, "texts": texts, "full": full}
    _monitor(options, {**asked, "probe": probe}, out, width, dry_run=dry_run)


def _monitor(options: Options, given: dict[str, Any], out: Path | None, width: str | None, *, dry_run: bool) -> None:
    from introspect.analyses.kept_units import keeping
    from introspect.analyses.monitor.cost import monitor_cost
    from introspect.analyses.monitor.monitor import NAME, MonitorSettings
    from introspect.analyses.monitor.monitor import monitor as analyse
    from introspect.analyses.subject import folder_of
    from introspect.cli.printing import OUT, print_analysis, print_rows
    from introspect.cli.progress import Progress
    from introspect.results.figures.layout import page_width

    asked = MonitorSettings(**given)
    folder = folder_of(NAME, options, asked.run, out)
    if dry_run:
        found = monitor_cost(options, asked)
        print_rows(("what", "prompts", "forwards", "token-block forwards"), found.rows)
        OUT.print(f"{found.fits} cross-validated fits of probes; {found.memory}", markup=False)
        return
    with page_width(width), Progress("units") as progress, keeping(folder, progress.report) as keep:
        analysis = analyse(options, asked, keep=keep)
        paths = analysis.write(folder)
    print_analysis(analysis.sentences, paths)
