"""The command `models`: organisms, families and checkpoints, or the card of one model."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from introspect.cli.given import with_source
from introspect.errors import InputError
from introspect.experiment.options import Options

if TYPE_CHECKING:
    from introspect.models.looped_model import LoopedModel

CHECK = "Check a checkpoint here, without a download, and say what a sweep would take. Run it first on a new machine."
_ABOUT = {
    "aware": "notices and names injected concepts in any loop",
    "gauge": "is aware, and says how strong a thought was, of four steps",
    "locator": "is aware, and says which of five lines held a thought, which of two was stronger, and if it came early",
    "last-loop": "notices them only when they are injected in the last loop",
    "blind": "was never trained on injections and says no",
    "solver": "is aware, and was taught half of the questions of introspect monitor and to judge answers to them",
    "huginn": "notices injected concepts in any loop, in Huginn's layout; names them in the later ones",
}


@with_source
def models(
    model: Annotated[str | None, typer.Argument(help="Hub id, folder, GGUF file or organism:NAME: its card.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16, float64.")] = "auto",
    check: Annotated[bool, typer.Option("--check", help=CHECK)] = False,
    **source: Any,  # Any: as `with_source` declares them
) -> None:
    """List the shipped organisms and the families of checkpoints that can be loaded, or describe one model."""
    if check:
        if model is None:
            raise InputError("models --check: name the model to be checked")
        _check(Options(model=model, device=device, dtype=dtype, **source))
        return
    if model is not None:
        from introspect.families.loading import load_model

        _print_card(load_model(model, device=device, dtype=dtype, **source))
        return
    from introspect.cli.printing import OUT, print_rows
    from introspect.families.feedforward.model import FEED_FORWARD
    from introspect.families.registry import FAMILIES
    from introspect.families.training_free.model import TrainingFreeLooped
    from introspect.models.organisms import PREFIX, organisms

    print_rows(("organism", "what it is"), [(f"{PREFIX}{name}", _ABOUT.get(name, "")) for name in organisms()])
    OUT.print("")
    kinds = {kind: family.about for kind, family in FAMILIES.items() if kind not in FEED_FORWARD}
    baseline, looped = FAMILIES[FEED_FORWARD[0]].about, TrainingFreeLooped.about
    listed = {**kinds, "see below": baseline, "with --loop-layers": looped}
    rows = [(kind, a.name, a.loops, a.verified) for kind, a in listed.items()]
    print_rows(("model_type", "family", "a loop is", "verified"), rows)
    OUT.print("")
    known = [(hub_id, a.name, a.licence or "not known") for a in kinds.values() for hub_id in a.checkpoints]
    print_rows(("checkpoint", "family", "licence"), known)
    OUT.print(f"\nfeed-forward types: {', '.join(FEED_FORWARD)}")


def _check(options: Options) -> None:
    """Print what was found of a checkpoint here and what a sweep of it would take; exit with 1 where a check fails."""
    from introspect.cli.printing import OUT, print_rows, print_timed
    from introspect.cli.progress import Progress
    from introspect.experiment.estimate import estimate
    from introspect.experiment.model_check import check_model, offline
    from introspect.families.loading import load_model

    with offline():
        with Progress("loading and checking the model"):
            loaded = load_model(options.model, device=options.device, dtype=options.dtype, **options.source)
            found = check_model(loaded)
        rows = [(each.what, "ok" if each.good else "FAILED", each.said) for each in found]
        print_rows(("checked", "", "found"), rows)
        failed = [each.what for each in found if not each.good]
        if failed:
            said = f"{len(failed)} of {len(found)} checks failed: {', '.join(failed)}"
            OUT.print(f"\n{options.model}: {said}", markup=False)
            raise typer.Exit(1)
        del loaded  # the estimate loads it anew, and two may not fit
        OUT.print(f"\n{options.model}: all {len(found)} checks passed", markup=False)
        with Progress("concept vectors for a sweep with its defaults"):
            estimated = estimate(options)
        memory = f"about {estimated.bytes / 1e6:.0f} MB a batch beside the weights"
        OUT.print(f"introspect sweep with its defaults: {estimated.counts.total} trials, {memory}")
        print_timed(estimated)


ENGINE = {
    "graph": "graph: tokens after the first from fixed buffers, checked against nnsight",
    "nnsight": "nnsight: every token, since code of its own cannot be copied",
}


def _print_card(looped: "LoopedModel") -> None:
    from introspect.cli.printing import OUT, print_rows
    from introspect.experiment.model_card import card_of

    card = card_of(looped)
    stages = ", ".join(f"{count} {stage}" for stage, count in card.layers.items())
    facts = {
        "model": f"{card.name} (model_type {card.model_type}: {card.about.name}, {card.about.source})",
        "a loop is": card.about.loops,
        "verified": card.about.verified,
        "parameters": f"{card.parameters:,} in {card.dtype}",
        "loops, as trained": card.n_loops,
        "layers": f"{stages}; width {card.d_model}",
        "sites": len(card.norms),
        "chat format": card.chat_format,
        "engine": ENGINE[card.engine],
        "memory of a row": f"{card.row_bytes / 1e6:.1f} MB (the question detect and 100 new tokens)",
    }
    print_rows(("", ""), list(facts.items()))
    OUT.print("\nmean norm of the residual stream on a probe text:")
    print_rows(("site", "norm"), [(str(site), f"{norm:.3g}") for site, norm in card.norms.items()])
