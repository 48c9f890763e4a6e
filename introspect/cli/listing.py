"""The commands that list what there is: `models`, `concepts`, `protocols`, `prompts`."""

from pathlib import Path
from typing import Annotated

import typer

ABOUT = {
    "aware": "notices and names injected concepts in any loop",
    "last-loop": "notices them only when they are injected in the last loop",
    "blind": "was never trained on injections and says no",
}


def models() -> None:
    """List the shipped organisms and the families of checkpoints that can be loaded."""
    from introspect.cli.printing import print_rows
    from introspect.models.shipped import PREFIX, organisms

    rows = [(f"{PREFIX}{name}", ABOUT.get(name, "")) for name in organisms()]
    rows += [("hub id or folder", "model_type ouro: ByteDance/Ouro-1.4B, -2.6B and their -Thinking versions")]
    print_rows(("model", "what it is"), rows)


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
        (name, protocol.summary, ", ".join(question.name for question in protocol.questions), ", ".join(protocol.arms))
        for name, protocol in PROTOCOLS.items()
    ]
    print_rows(("protocol", "what it asks", "questions", "arms"), rows)


def prompts() -> None:
    """List the shipped prompt templates."""
    from introspect.cli.printing import print_rows
    from introspect.prompts import template_names

    print_rows(("template", "what it is"), list(template_names().items()))


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
