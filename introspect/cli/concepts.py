"""The command `concepts`: concept sets, their words, or the vectors of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    pass


def concepts(
    chosen: Annotated[str | None, typer.Argument(help="SET, SET:SPLIT or words; all sets when left out.")] = None,
    vectors: Annotated[Path | None, typer.Option(help="Folder of a run: norms and cosines of its vectors.")] = None,
) -> None:
    """List concept sets or the words of one, or describe the concept vectors of a run."""
    from introspect.cli.printing import print_rows
    from introspect.concepts.sets import SHIPPED_SETS, load_concepts, read_choice

    if vectors is not None:
        _describe_vectors(vectors)
    elif chosen is not None:
        _, words = read_choice(chosen, default="published")
        print_rows(("word", "category", "split"), list(zip(words.words, words.categories, words.splits, strict=True)))
    else:
        sets = [load_concepts(name) for name in SHIPPED_SETS]
        rows = [(each.name, len(each.words), ", ".join(sorted(set(each.splits)))) for each in sets]
        print_rows(("set", "words", "splits"), rows)


def _describe_vectors(run: Path) -> None:
    from introspect.cli.printing import print_rows
    from introspect.experiment.run import Run
    from introspect.records.trial import Site

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
