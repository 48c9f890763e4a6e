"""How far the states of a prompt's span point along a concept's vector at every site, the measure of mental control.

Structure after Lindsey (2025, arXiv 2601.01828): the cosine of each token's state with the vector, beside that with the
vectors of other words. Goes in: a prompt that was run with nothing injected. Come out: measures.
"""

from torch import Tensor
from torch.nn.functional import normalize

from introspect.concepts.vectors import ConceptVectors
from introspect.injection.prefix.prefix import Prefix
from introspect.records.response import Measure


def measured_cosines(prefix: Prefix, vectors: ConceptVectors, concept: str) -> tuple[Measure, ...]:
    """Give, for every site in the loops with vectors, the mean cosine of the span's tokens with a concept's vector.

    `cosine` is the concept's, `cosine_others` the mean over all other words, `cosine_sd` their standard deviation.
    """
    own, inside = vectors.words.index(concept), prefix.inside()
    measures: list[Measure] = []
    for site, h in prefix.states.items():
        if 0 <= site.loop < vectors.n_loops and len(vectors.words) > 2:
            numbers = _numbers(h[0, inside], vectors.values[:, site.loop, site.layer], own)
            measures += [Measure(name, site.loop, site.layer, value) for name, value in numbers.items()]
    return tuple(measures)


def _numbers(h: Tensor, vectors: Tensor, own: int) -> dict[str, float]:
    """Work on states `(token, d_model)` and the vectors of all words `(word, d_model)` at one site."""
    cosine = (normalize(h.double().cpu(), dim=-1) @ normalize(vectors.double().cpu(), dim=-1).T).mean(0)
    others = [index for index in range(len(cosine)) if index != own]
    spread = cosine[others]
    return {
        "cosine": cosine[own].item(),
        "cosine_others": spread.mean().item(),
        "cosine_sd": spread.std().item(),
    }
