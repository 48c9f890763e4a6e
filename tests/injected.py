"""Makers for tests of the injection room: a tiny model with its tap, short prompts, random vectors, mixed trials."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch

from introspect.concepts.prompt_states import PromptStates
from introspect.concepts.vectors import ConceptVectors
from introspect.families.placement import dtype_name
from introspect.injection.engine.engine import Engine, PromptKey
from introspect.injection.engine.failures import Failure
from introspect.injection.plan.plan import trial_seed
from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Tap
from introspect.prompts import Encoded
from introspect.records.response import Response
from introspect.records.site import LOOP_OF
from introspect.records.trial import Arm, Injection, Sampling, Site, Trial
from tests.tiny import tiny_model

WORDS = ("dust", "salt", "bread")
LENGTH = 12
SPANS: dict[str, list[tuple[int, int | None]]] = {
    "open": [(6, None)],
    "closed": [(4, 9)],
    "whole": [(0, None)],
    "last": [(11, None)],
    "end": [(9, 12)],
    "two": [(2, 4), (7, 10)],
    "parted": [(3, 5), (6, 7), (9, None)],
}
"""Injection spans of the prompts, which all have LENGTH tokens, by the hash of their template."""
VARIED: PromptKey = ("two", (("line", "other"),))
"""One more prompt, of a template that has two: other tokens, and spans elsewhere."""
ARMS: tuple[Arm, ...] = ("injected", "random", "in-span", "swap", "wrong", "negated", "shuffled")


@dataclass(frozen=True)
class Bench:
    """All that a trial is run on."""

    looped: LoopedModel
    vectors: ConceptVectors
    prompts: dict[PromptKey, Encoded]
    engine: Engine
    loops: tuple[int, ...] = (1, 2, 3, 3, 4)
    """Numbers of loops that mixed trials run."""

    def trial(self, *sites: tuple[int, int], prompt: str = "open", **changes: Any) -> Trial:
        """Make a trial; without sites it is one of the arm none."""
        details = {key: changes.pop(key) for key in ("strength", "extract_loop", "unit", "weights") if key in changes}
        fields = {"model": "tiny", "weights_hash": self.looped.weights_hash, "protocol": "report", "template": prompt}
        fields |= {"dtype": dtype_name(self.looped.dtype), "template_hash": prompt, "concept": "dust"}
        fields |= {"n_loops": self.looped.n_loops, "repeat": 0, "seed": 7, "sampling": Sampling(max_new_tokens=6)}
        if sites:
            details = {"strength": 2.0, "vectors_hash": self.vectors.hash, **details}
            if changes.get("arm") == "swap" and self.vectors.states is not None:
                details["states"] = self.vectors.states.hash
            injection = Injection(sites=tuple(Site(*site) for site in sites), **details)
            return Trial(**{**fields, "arm": "injected", "injection": injection, **changes})
        return Trial(**{**fields, "arm": "none", "injection": None, **changes})

    def mixed(self, seed: int, n: int) -> list[Trial]:
        """Make trials that have nothing in common but the model."""
        source = random.Random(seed)
        return [self._any(source) for _ in range(n)]

    def _any(self, source: random.Random) -> Trial:
        n_loops, trained = source.choice(self.loops), self.looped.n_loops
        sites = sorted(source.sample(self.looped.sites(n_loops), source.choice([0, 1, 1, 1, 2, n_loops, 2 * n_loops])))
        prompt, variables = source.choice(list(self.prompts))
        changes: dict[str, Any] = {"prompt": prompt, "variables": variables, "concept": source.choice(WORDS)}
        changes["options"] = source.choice([(), ("yes", "bread", "thought")])
        if sites:
            latest, known = max((site.loop for site in sites if site.stage == "core"), default=0), list(range(trained))
            extract_loop = source.choice(known if latest >= trained else [None, None, *known])
            changes["extract_loop"] = extract_loop if latest >= trained or sites[-1].stage == "core" else None
            changes |= {"strength": source.choice([0.0, 0.5, 2.0, -4.0]), "arm": source.choice(ARMS)}
            parts = len(SPANS[prompt])
            changes["weights"] = source.choice([(), tuple(source.choice([0.0, 0.5, 1.0, 2.0]) for _ in range(parts))])
            if changes["arm"] == "wrong":
                changes["partner"] = source.choice([word for word in WORDS if word != changes["concept"]])
        changes["sampling"] = Sampling(
            source.choice([0.0, 0.7, 1.0]), source.choice([1.0, 0.8]), source.choice([1, 4, 7])
        )
        changes["seed"] = trial_seed(0, changes["concept"], source.randrange(3))
        return self.trial(*((site.loop, site.layer) for site in sites), n_loops=n_loops, **changes)


def varied(trials: list[Trial]) -> list[Trial]:
    """Leave the trials that show something which those before do not: an arm, a wording, loops run, a dose, a stage."""
    seen: set[tuple[str, object]] = set()
    kept: list[Trial] = []
    for trial in trials:
        shown: set[tuple[str, object]] = {("arm", trial.arm), ("wording", trial.template), ("loops", trial.n_loops)}
        shown |= {("temperature", trial.sampling.temperature)}
        if (injection := trial.injection) is not None:
            shown |= {("dose", injection.strength), ("sites", len(injection.sites))}
            shown |= {("stage", site.stage) for site in injection.sites}
        kept += [trial] if shown - seen else []
        seen |= shown
    return kept


def traced(on: Bench) -> Bench:
    """Return the same with an engine that checks no step, since nnsight runs them all: nothing is run twice."""
    return replace(on, engine=Engine(on.engine.tap, on.prompts, on.vectors, steps="nnsight"))


def bench(dtype: torch.dtype = torch.float32, seed: int = 0, **fields: Any) -> Bench:
    """Make a tiny model of 2 layers and 3 loops, prompts for it, vectors with norms near those of its residual."""
    return bench_on(tiny_model(seed, dtype=dtype, **fields), seed)


def bench_on(looped: LoopedModel, seed: int = 0, loops: tuple[int, ...] = Bench.loops) -> Bench:
    """Make the same for any model."""
    source = torch.Generator().manual_seed(seed)
    shape = (len(WORDS), looped.n_loops, looped.n_layers, looped.d_model)
    values = torch.randn(shape, generator=source)
    outside = {
        str(stage): torch.randn(len(WORDS), looped.layers[stage], looped.d_model, generator=source)
        for stage in LOOP_OF
        if looped.layers[stage]
    }
    vectors = ConceptVectors(WORDS, values, {}, outside, random_states(looped, seed))
    ids = torch.randint(3, len(looped.tokenizer), (len(SPANS), LENGTH), generator=source).tolist()
    prompts: dict[PromptKey, Encoded] = {
        (name, ()): encoded(row, spans) for (name, spans), row in zip(SPANS.items(), ids, strict=True)
    }
    prompts[VARIED] = encoded(ids[0][::-1] + ids[1], [(5, 8), (9, 20)])
    return Bench(looped, vectors, prompts, Engine(Tap(looped), prompts, vectors), loops)


def random_states(looped: LoopedModel, seed: int) -> PromptStates:
    """Make states of four prompts, one of which names a concept."""
    source = torch.Generator().manual_seed(seed + 1)
    texts = ("The lamp is lit.", "The bread is old.", "The tide comes in.", "Nobody left.")
    values = torch.randn(len(texts), looped.n_loops, looped.n_layers, looped.d_model, generator=source)
    outside = {
        str(stage): torch.randn(len(texts), looped.layers[stage], looped.d_model, generator=source)
        for stage in LOOP_OF
        if looped.layers[stage]
    }
    return PromptStates(texts, values, {}, outside)


def encoded(ids: Sequence[int], spans: list[tuple[int, int | None]]) -> Encoded:
    """Make a prompt of tokens with injection spans."""
    gaps = tuple((stop, start) for (_, stop), (start, _) in pairwise(spans) if stop is not None)
    return Encoded("", tuple(ids), spans[0][0], spans[-1][1], "", gaps)


def responses(results: list[Response | Failure]) -> list[Response]:
    """Take the results as responses, which they must be."""
    assert all(isinstance(result, Response) for result in results), results
    return [result for result in results if isinstance(result, Response)]
