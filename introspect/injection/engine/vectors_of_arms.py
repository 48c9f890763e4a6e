"""What is added to the residual stream at a site for a trial: direction times strength, in float64.

Goes in: a trial, a site, the concept vectors, and for the unit "residual" the mean norm of the residual stream there,
for the unit "kl" the multiplier that gives the dose.
"""

import hashlib
from functools import lru_cache

import torch
from torch import Tensor

from introspect.concepts.vectors import ConceptVectors
from introspect.injection.answers.sampling import uniforms
from introspect.injection.engine.failures import UnreachableError
from introspect.protocols.material import occurs_in
from introspect.records.trial import Injection, Site, Trial


def added_vector(
    trial: Trial,
    site: Site,
    vectors: ConceptVectors,
    residual_norm: float | None = None,
    multiplier: float | None = None,
) -> Tensor:
    """Return what is added at a site, `(d_model,)` in float64.

    Unit "vector": strength times the vector. Unit "residual": strength times `residual_norm`, the mean norm of the
    residual stream at the site over the span's prompt tokens without an injection, along the vector. Unit "kl":
    `multiplier` times the vector. Raises UnreachableError for a dose along a vector that is zero.
    """
    injection = trial.injection
    assert injection is not None, f"trial {trial.id} injects nothing"
    vector = unit_push(trial, site, vectors)
    if injection.unit == "vector":
        return injection.strength * vector
    if injection.unit == "kl":
        assert multiplier is not None, f"trial {trial.id}: strength in nats, and no multiplier is given"
        return multiplier * vector
    assert residual_norm is not None, f"trial {trial.id}: strength in units of the residual norm, which is not given"
    if vector.norm() == 0:
        raise UnreachableError(f"trial {trial.id}: the vector at site {site} is zero, so it has no direction")
    return injection.strength * residual_norm * vector / vector.norm()


def unit_push(trial: Trial, site: Site, vectors: ConceptVectors) -> Tensor:
    """Return the vector that the trial's arm injects at a site, at strength 1, `(d_model,)` in float64."""
    injection = trial.injection
    assert injection is not None, f"trial {trial.id} injects nothing"
    word = trial.concept if trial.partner is None else trial.partner
    vector = vectors.at(word, site, injection.extract_loop).double().cpu()
    if trial.arm == "random":
        return random_direction(trial.seed, site, injection, len(vector)) * vector.norm()
    if trial.arm == "in-span":
        return direction_in_span(trial, site, vectors) * vector.norm()
    if trial.arm == "swap":
        return swapped_direction(trial, site, vectors) * vector.norm()
    if trial.arm == "negated":
        return -vector
    if trial.arm == "shuffled":
        return vector[permutation(trial.seed, len(vector))]
    return vector


def permutation(seed: int, d_model: int) -> Tensor:
    """Draw an order of the coordinates, evenly; the same at all sites and strengths, so that loops share it."""
    key = hashlib.sha256(f"shuffled\n{seed}".encode()).digest()[:16]
    return uniforms([int.from_bytes(key, "big")], d_model)[0].argsort(stable=True)


def random_direction(seed: int, site: Site, injection: Injection, d_model: int) -> Tensor:
    """Draw a unit vector, evenly over all directions.

    It depends on the trial's seed, the site and the extraction loop, and not on the strength: a dose ladder climbs
    along one direction. Of an aligned injection it depends on the site's stage and layer alone, whatever the loop.
    """
    normal = _normal("random", seed, site, injection, d_model)
    return normal / normal.norm()


def direction_in_span(trial: Trial, site: Site, vectors: ConceptVectors) -> Tensor:
    """Draw a unit vector with the covariance of the other concepts' vectors at the site, `(d_model,)` in float64.

    It lies in their span, as states that a model comes by itself do, and is no concept's. Keys are those of
    `random_direction`; the weights of the concepts are what an aligned injection has the same in all loops of a layer.
    Raises UnreachableError where the other vectors do not differ.
    """
    injection = trial.injection
    assert injection is not None, f"trial {trial.id} injects nothing"
    others = vectors.others_at(trial.concept, site, injection.extract_loop).double().cpu()
    drawn = _normal("in-span", trial.seed, site, injection, len(others)) @ (others - others.mean(0))
    if drawn.norm() == 0:
        raise UnreachableError(f"trial {trial.id}: the vectors of the other concepts at site {site} do not differ")
    return drawn / drawn.norm()


def swapped_direction(trial: Trial, site: Site, vectors: ConceptVectors) -> Tensor:
    """Return the unit vector from the state of one neutral prompt to that of another, `(d_model,)` in float64.

    It is the way in which the other prompt's activations in place of the first one's would move the stream, and has
    nothing to do with any concept. The two prompts are drawn once for a trial, so that several sites get what the same
    two prompts leave there. Raises UnreachableError where their states do not differ.
    """
    injection = trial.injection
    assert injection is not None, f"trial {trial.id} injects nothing"
    assert vectors.states is not None, f"trial {trial.id}: no states of prompts were recorded"
    first, other = swapped_prompts(trial.seed, trial.concept, vectors.states.texts)
    states = vectors.states.at(site, injection.extract_loop).double()
    moved = states[other] - states[first]
    if moved.norm() == 0:
        raise UnreachableError(f"trial {trial.id}: the states of the two prompts at site {site} do not differ")
    return moved / moved.norm()


@lru_cache(maxsize=4096)
def swapped_prompts(seed: int, concept: str, texts: tuple[str, ...]) -> tuple[int, int]:
    """Draw two prompts, evenly over all ordered pairs of those in which the concept does not occur.

    Raises UnreachableError where fewer than two are left.
    """
    free = [index for index, text in enumerate(texts) if not occurs_in(text, concept)]
    if len(free) < 2:
        raise UnreachableError(f"concept {concept!r} occurs in all neutral prompts but {len(free)}; two are swapped")
    key = hashlib.sha256(f"swap\n{seed}".encode()).digest()[:16]
    first, other = uniforms([int.from_bytes(key, "big")], len(free))[0].argsort(stable=True)[:2].tolist()
    return free[first], free[other]


def _normal(arm: str, seed: int, site: Site, injection: Injection, n: int) -> Tensor:
    """Draw standard normal numbers, `(n,)`, from an arm's key."""
    place = f"{site.stage} {site.layer}" if injection.aligned else str(site)
    key = hashlib.sha256(f"{arm}\n{seed}\n{place}\n{injection.extract_loop}".encode()).digest()[:16]
    uniform = uniforms([int.from_bytes(key, "big")], n)[0]
    return torch.special.ndtri(uniform + 2.0**-54)  # off 0, where the inverse of the normal CDF is infinite
