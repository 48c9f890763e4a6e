"""The commands that list what there is: `models`, `concepts`, `protocols`, `prompts`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from introspect.models.looped_layers import LOOP_STEPS
from introspect.options import LOOP_LAYERS, LOOP_STEP, TRUST

if TYPE_CHECKING:
    from introspect.models.looped import LoopedModel
    from introspect.protocols import Protocol

ABOUT = {
    "aware": "notices and names injected concepts in any loop",
    "last-loop": "notices them only when they are injected in the last loop",
    "blind": "was never trained on injections and says no",
    "solver": "is aware, and was taught half of the questions of introspect monitor and to judge answers to them",
    "huginn": "notices injected concepts in any loop, in Huginn's layout; names them in the later ones",
}


def models(
    model: Annotated[str | None, typer.Argument(help="Hub id, folder, GGUF file or organism:NAME: its card.")] = None,
    loop_layers: Annotated[str | None, typer.Option(help=LOOP_LAYERS)] = None,
    loop_step: Annotated[str, typer.Option(help=LOOP_STEP)] = LOOP_STEPS[0],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")] = None,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code", help=TRUST)] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16, float64.")] = "auto",
) -> None:
    """List the shipped organisms and the families of checkpoints that can be loaded, or describe one model."""
    if model is not None:
        from introspect.models.loading import load_model

        loaded = load_model(
            model,
            device=device,
            dtype=dtype,
            revision=revision,
            trust_remote_code=trust_remote_code,
            loop_layers=loop_layers,
            loop_step=loop_step,
        )
        _print_card(loaded)
        return
    from introspect.cli.printing import OUT, print_rows
    from introspect.models.families import FAMILIES
    from introspect.models.feedforward import FEED_FORWARD
    from introspect.models.shipped import PREFIX, organisms
    from introspect.models.training_free import TrainingFreeLooped

    print_rows(("organism", "what it is"), [(f"{PREFIX}{name}", ABOUT.get(name, "")) for name in organisms()])
    OUT.print("")
    kinds = {kind: family.about for kind, family in FAMILIES.items() if kind not in FEED_FORWARD}
    baseline, looped = FAMILIES[FEED_FORWARD[0]].about, TrainingFreeLooped.about
    listed = {**kinds, "see below": baseline, "with --loop-layers": looped}
    rows = [(kind, a.name, a.loops, a.verified) for kind, a in listed.items()]
    print_rows(("model_type", "family", "a loop is", "verified against"), rows)
    OUT.print("")
    known = [(hub_id, a.name, a.licence or "not known") for a in kinds.values() for hub_id in a.checkpoints]
    print_rows(("checkpoint", "family", "licence"), known)
    OUT.print(f"\nfeed-forward types: {', '.join(FEED_FORWARD)}")


def concepts(
    chosen: Annotated[str | None, typer.Argument(help="SET, SET:SPLIT or words; all sets when left out.")] = None,
    vectors: Annotated[Path | None, typer.Option(help="Folder of a run: norms and cosines of its vectors.")] = None,
) -> None:
    """List concept sets or the words of one, or describe the concept vectors of a run."""
    from introspect.cli.printing import print_rows
    from introspect.concepts.sets import SHIPPED, load_concepts, read_choice

    if vectors is not None:
        _describe_vectors(vectors)
    elif chosen is not None:
        _, words = read_choice(chosen, default="published")
        print_rows(("word", "category", "split"), list(zip(words.words, words.categories, words.splits, strict=True)))
    else:
        sets = [load_concepts(name) for name in SHIPPED]
        rows = [(each.name, len(each.words), ", ".join(sorted(set(each.splits)))) for each in sets]
        print_rows(("set", "words", "splits"), rows)


def protocols() -> None:
    """List the protocols: what each asks, in which framings, and the arms that it runs by default."""
    from introspect.cli.printing import print_rows
    from introspect.protocols import PROTOCOLS

    rows = [
        (name, protocol.summary, *map(", ".join, (_questions(protocol), protocol.framings, protocol.arms)))
        for name, protocol in PROTOCOLS.items()
    ]
    print_rows(("protocol", "what it asks", "questions", "framings", "arms"), rows)


def _questions(protocol: "Protocol") -> list[str]:
    return [question.name for question in protocol.questions]


def prompts() -> None:
    """List the shipped prompt templates."""
    from introspect.cli.printing import print_rows
    from introspect.prompts import template_names

    print_rows(("template", "what it is"), list(template_names().items()))


def _print_card(looped: "LoopedModel") -> None:
    from introspect.card import card_of
    from introspect.cli.printing import OUT, print_rows

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
        "memory of a row": f"{card.row_bytes / 1e6:.1f} MB (the question detect and 100 new tokens)",
    }
    print_rows(("", ""), list(facts.items()))
    OUT.print("\nmean norm of the residual stream on a probe text:")
    print_rows(("site", "norm"), [(str(site), f"{norm:.3g}") for site, norm in card.norms.items()])


def _describe_vectors(run: Path) -> None:
    from introspect.cli.printing import print_rows
    from introspect.records import Site
    from introspect.run import Run

    with Run.open(run) as opened:
        vectors = opened.vectors
    rows = []
    for loop in range(vectors.n_loops):
        for layer in range(vectors.n_layers):
            norms, cosines = vectors.norms()[:, loop, layer], vectors.cosines(Site(loop, layer))
            n = len(vectors.words)
            between = (cosines.sum() - cosines.trace()) / (n * n - n) if n > 1 else float("nan")
            rows.append((loop, layer, f"{norms.mean():.3g}", f"{norms.std():.2g}", f"{between:+.3f}"))
    print_rows(("loop", "layer", "mean norm", "sd", "mean cosine of two"), rows)
