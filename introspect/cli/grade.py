"""The command `grade`: rules, logits, or a judge that is asked about every answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from introspect.errors import InputError
from introspect.grading import GRADERS

if TYPE_CHECKING:
    from introspect.experiment.regrade import Judged
    from introspect.grading.judge.judge_settings import JudgeSettings
    from introspect.prompts.turns import Turns
    from introspect.results.store.store import Store

JUDGES = ("judge", "stranger")
"""Graders that ask another model: about the answer, or what it finds in the text alone."""
ASKED = "json_schema, max_tokens"
"""What is asked of a judge that takes everything; any other way is told."""

_Graders = Annotated[str, typer.Option(help=f"{', '.join((*GRADERS, *JUDGES))}, or several separated by commas.")]
Url = Annotated[
    str | None,
    typer.Option(
        help="OpenAI-compatible endpoint, such as http://localhost:8000/v1; without it the model is run here. "
        "The key is read from INTROSPECT_JUDGE_KEY, else OPENAI_API_KEY."
    ),
]
Model = Annotated[
    str | None, typer.Option(help="The judge: its name at the url; else hub id, folder, GGUF file, organism:NAME.")
]
Price = Annotated[str | None, typer.Option(help="Price of a million tokens read,written, such as 0.15,0.60.")]


def grade(
    run: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    grader: _Graders = "rules",
    judge_url: Url = None,
    judge_model: Model = None,
    judge_price: Price = None,
    judge_max_tokens: Annotated[int, typer.Option(help="Longest reply of the judge, in tokens.")] = 1024,
    judge_timeout: Annotated[float, typer.Option(help="Seconds that one call may take.")] = 120.0,
    judge_concurrency: Annotated[int, typer.Option(help="Calls under way at once.")] = 8,
) -> None:
    """Grade the stored responses again; responses are not touched.

    A judge decides what an answer claims. A stranger sees the text of an answer about noticing and the run's words, and
    guesses which was injected, if any.

    Example: introspect grade runs/demo --grader judge --judge-url http://localhost:8000/v1 --judge-model NAME
    """
    from introspect.cli.printing import print_absent, print_written
    from introspect.cli.progress import Progress
    from introspect.experiment.regrade import judge_run, regrade
    from introspect.grading.judge.judge_settings import JudgeSettings, read_price
    from introspect.results.store.store import Store
    from introspect.results.tables.all_tables import summaries, write_tables
    from introspect.selection import names

    chosen = names(grader, (*GRADERS, *JUDGES), option="grader", kind="grader")
    judges = dict[str, JudgeSettings]()
    if any(name in JUDGES for name in chosen):
        settings = JudgeSettings(
            model=judge_model or "",
            url=judge_url,
            max_tokens=judge_max_tokens,
            timeout=judge_timeout,
            concurrency=judge_concurrency,
            price=read_price(judge_price),
        )
        judges = {name: settings for name in JUDGES if name in chosen}
    elif judge_url or judge_model:
        raise InputError(f"--judge-url and --judge-model are for --grader {' or '.join(JUDGES)}, not {grader}")
    with Store.open(run, write=True) as store:
        turns = _turns(store, chosen)
        graded = regrade(store, [GRADERS[name] for name in chosen if name not in JUDGES], turns=turns)
        for name, settings in judges.items():
            with Progress() as progress:
                judged = judge_run(store, settings, progress.report, turns=turns, stranger=name == "stranger")
            graded += sum(judged.states.values())
            _print_judged(judged, settings)
        made = summaries(store)
        print_written(f"{graded} grades by {grader} in {store.path}; tables", write_tables(store, made))
        print_absent(made.absent)


def _turns(store: "Store", chosen: list[str]) -> "Turns | None":
    """Return what takes tokens apart; say so where the model's tokenizer is not to be had."""
    from introspect.cli.printing import printable
    from introspect.experiment.spelling import model_of
    from introspect.families.tokenizer import turns_of

    if not any(name not in GRADERS or GRADERS[name].reads_words for name in chosen):
        return None
    try:
        made = store.manifest
        return turns_of(model_of(made), revision=made.get("revision"), tokenizer=made.get("tokenizer"))
    except (InputError, OSError) as error:
        typer.echo(printable(f"tokens until detection stay unknown, without the tokenizer: {error}"), err=True)
        return None


def _print_judged(judged: "Judged", settings: "JudgeSettings") -> None:
    """Say what the judge did and what it took, a thing a line; what is not known is said to be."""
    from introspect.cli.printing import OUT

    spent = judged.spent
    states = ", ".join(f"{count} {state}" for state, count in sorted(judged.states.items())) or "none"
    skipped = f"; {judged.skipped} answers hold nothing to judge" if judged.skipped else ""
    tokens = "tokens not counted by the endpoint"
    if spent.prompt_tokens is not None and spent.completion_tokens is not None:
        tokens = f"{spent.prompt_tokens:,} tokens read, {spent.completion_tokens:,} written"
    cost = "cost unknown" + (" (no --judge-price)" if settings.price is None else "")
    if spent.cost is not None:
        cost = f"cost {spent.cost:.4f}"
    took = f"; {tokens}, {cost}" if spent.asked else ""
    verdicts = f"verdicts of {settings.model}: {states}{skipped}"
    others = [f"{count} replies came from {name!r}, another model" for name, count in judged.others.items()]
    less = [f"{count} replies were asked for as: {form}" for form, count in spent.forms.items() if form != ASKED]
    for line in (verdicts, f"asked {spent.asked}, {spent.cached} replies were kept already{took}", *less, *others):
        OUT.print(line, markup=False)
