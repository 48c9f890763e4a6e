"""Makers of random runs: any protocol, arms, sites and graders, with any pattern of missing, unknown, failed and alike.

Trials are those that a grid plans, thinned out; answers, read-outs and verdicts are drawn. No model is needed.
"""

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as some

from introspect.grading.picking import is_correct
from introspect.injection.plan.grid import MODES, Grid
from introspect.injection.plan.plan import plan
from introspect.prompts import template_named
from introspect.protocols import PROTOCOLS, Variant, kind_of, silent_protocols
from introspect.records.response import FinishReason, Grade, Measure, Readout, Response
from introspect.records.trial import ARMS, OF_ANOTHER, Site, Trial
from introspect.results.store.store import Store

GRADERS_OF = (("rules",), ("logits",), ("rules", "judge"), ("rules", "logits"), ("judge", "logits"))
WORDS = ("Dust", "Snow", "Oceans", "Trumpets", "Bread", "Milk", "Silver", "Peace", "Blood", "Denim", "Trees", "Bags")
SITES = ("prelude:0", "0:0", "0:1", "1:0", "2:1", "coda:0")
LAYERS = {"prelude": 1, "core": 2, "coda": 1}
NEEDED = {"choose": 4, "thought-or-text": 10}
"""Concepts without which a protocol cannot ask."""
MOST = 40
"""Trials of a run; more are thinned out, since more show nothing new."""


@dataclass(frozen=True)
class Habit:
    """How a grader's verdicts fall."""

    yes: float
    """Share of yes among the verdicts."""
    unknown: float
    """Share of answers without a verdict."""


@dataclass(frozen=True)
class Scattered:
    """What a random run is made of."""

    protocol: str
    arms: tuple[str, ...]
    questions: int
    """How many of the protocol's questions are left."""
    framings: int
    concepts: int
    sites: tuple[str, ...]
    mode: str
    strengths: tuple[float, ...]
    totals: tuple[int, ...]
    extract: tuple[int | None, ...]
    repeats: int
    kept: float
    """Share of the planned trials that were run."""
    failed: float
    """Share of these that failed."""
    readouts: str
    """`spread`, `constant` or `large`."""
    graders: tuple[tuple[str, Habit], ...]
    reversed_in_controls: bool
    """Whether yes and no change places where the concept's vector is not injected."""
    seed: int


SHARES = some.sampled_from([0.0, 0.05, 0.5, 1.0])
HABITS = some.builds(Habit, yes=SHARES, unknown=some.sampled_from([0.0, 0.05, 0.4, 1.0]))
RUNS = some.builds(
    Scattered,
    protocol=some.sampled_from(list(PROTOCOLS)),
    arms=some.lists(some.sampled_from(ARMS), min_size=1, max_size=5, unique=True).map(tuple),
    questions=some.integers(1, 3),
    framings=some.integers(1, 2),
    concepts=some.sampled_from([1, 2, 4, 5, 6, 11]),
    sites=some.lists(some.sampled_from(SITES), min_size=1, max_size=3, unique=True).map(tuple),
    mode=some.sampled_from(MODES),
    strengths=some.sampled_from([(1.0,), (1.0, 16.0), (0.0, 2.0), (-1.0, 1.0)]),
    totals=some.sampled_from([(3,), (3, 4)]),
    extract=some.sampled_from([(None,), (0, 2), (None, 1)]),
    repeats=some.integers(1, 2),
    kept=some.sampled_from([1.0, 1.0, 0.5, 0.05]),
    failed=some.sampled_from([0.0, 0.0, 0.2, 1.0]),
    readouts=some.sampled_from(["spread", "constant", "large"]),
    graders=some.sampled_from([*GRADERS_OF, ()]).flatmap(
        lambda names: some.tuples(*(some.tuples(some.just(name), HABITS) for name in names))
    ),
    reversed_in_controls=some.booleans(),
    seed=some.integers(0, 2**32),
)


def grid_of(made: Scattered) -> Grid:
    """Make the grid whose trials are thinned out."""
    protocol = PROTOCOLS[made.protocol]
    words = WORDS[: max(made.concepts, NEEDED.get(made.protocol, 1))]
    questions = protocol.questions[: made.questions]
    outside = any(not site[0].isdigit() for site in made.sites)
    variants = [
        Variant(question, name, template_named(name).hash)
        for question in questions
        for name in list(question.templates.values())[: made.framings]
    ]
    arms = [arm for arm in made.arms if any(arm in question.arms for question in questions)]
    return Grid(
        model="organism:aware",
        weights_hash="w0",
        dtype="float32",
        protocol=made.protocol,
        variants=tuple(variants),
        totals=made.totals,
        layers=LAYERS,  # type: ignore[arg-type]
        concepts=words,
        sites=tuple(map(Site.read, made.sites)),
        strengths=made.strengths,
        vectors_hash="v0",
        vector_loops=4,
        mode=made.mode,  # type: ignore[arg-type]
        arms=tuple(arms) or ("none",),  # type: ignore[arg-type]
        partners={arm: dict(zip(words, (*words[1:], words[0]), strict=True)) for arm in OF_ANOTHER},
        extract_loops=(None,) if outside else made.extract,
        repeats=made.repeats,
    )


def manifest_of(made: Scattered, grid: Grid) -> dict[str, Any]:
    """Write what a sweep writes of itself, as far as tables and reports read it."""
    templates = {variant.template_hash: template_named(variant.template) for variant in grid.variants}
    return {
        "model": grid.model,
        "weights_hash": grid.weights_hash,
        "dtype": grid.dtype,
        "protocol": made.protocol,
        "template": None,
        "templates": {key: [each.name, each.source] for key, each in templates.items()},
        "questions": list(dict.fromkeys(variant.question.name for variant in grid.variants)),
        "arms": list(grid.arms),
        "sites": [str(site) for site in grid.sites],
        "inject": made.mode,
        "totals": list(grid.totals),
        "remaining_loops": None,
        "n_layers": dict(grid.layers),
        "strengths": list(grid.strengths),
        "strength_unit": "vector",
        "extract_loops": "same" if grid.extract_loops == (None,) else "0",
        "vectors": {"words": list(grid.concepts)},
        "repeats": grid.repeats,
        "seed": 0,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_new_tokens": 40,
    }


def make_run(folder: Path, made: Scattered) -> Path:
    """Make the run."""
    source, grid = random.Random(made.seed), grid_of(made)
    trials = [trial for trial in plan(grid) if source.random() < made.kept]
    trials = source.sample(trials, min(MOST, len(trials)))
    failed = [trial for trial in trials if source.random() < made.failed]
    gone = {trial.id for trial in failed}
    answered = [(trial, _response(trial, made, source)) for trial in trials if trial.id not in gone]
    grades = [_grade(trial, name, habit, made, source) for name, habit in made.graders for trial, _ in answered]
    with Store.create(folder, manifest_of(made, grid)) as store:
        store.add(answered, grades)
        store.add_errors((trial, f"trial {trial.id}: the logits are not finite") for trial in failed)
    return folder


def _response(trial: Trial, made: Scattered, source: random.Random) -> Response:
    spread = {"spread": 2.0, "constant": 0.0, "large": 1e30}[made.readouts]
    readouts = []
    for loop in range(trial.n_loops):
        options = tuple(source.gauss(-2, spread) if spread < 9 else -spread for _ in trial.options)
        numbers = (source.gauss(0, spread), source.gauss(0, spread), 0.5 if spread == 0 else source.random(), 1.0)
        readouts.append(Readout(loop, *numbers, options, source.choice([None, 0, 3, 40])))
    norms = (None, None) if trial.injection is None else (source.choice([0.0, 3.0]), source.choice([0.0, 12.0]))
    measures: tuple[Measure, ...] = ()
    if trial.protocol in silent_protocols():
        names = ("cosine", "cosine_others", "cosine_sd")
        places = [(name, layer) for name in names for layer in (0, 1)]
        measures = tuple(Measure(name, 0, layer, source.gauss(0, min(spread, 1.0))) for name, layer in places)
    text = source.choice(["Yes. It is about dust.", "", "No.", "<b>%$&#\x1b[31m\u202e", "Rain\r\n" * 30])
    reason: FinishReason = source.choice(["stop", "length", "decided"])
    return Response(trial.id, text, (5, 6, 7), reason, tuple(readouts), *norms, measures)


def _grade(trial: Trial, name: str, habit: Habit, made: Scattered, source: random.Random) -> Grade:
    def verdict(*, turned: bool = False) -> bool | None:
        if source.random() < habit.unknown:
            return None
        return (source.random() < habit.yes) != turned

    empty = (None, None, None, None, "nothing")
    if trial.protocol in silent_protocols():
        return Grade(trial.id, name, "1", *empty)
    coherent, refused = (None, None) if name == "logits" else (verdict(), verdict())
    if kind_of(trial.question) == "noticing":
        detected = verdict(turned=made.reversed_in_controls and trial.arm != "injected")
        identified = None if detected is None or name == "logits" else detected and verdict()
        answer = {True: "yes", False: "no", None: None}[detected]
        tokens = source.choice([None, 1, 7]) if detected else None
        verdicts = (detected, identified, coherent, refused, "'Yes'", answer)
        return Grade(trial.id, name, "1", *verdicts, tokens=tokens)
    if kind_of(trial.question) in ("repeating", "naming") and name == "logits":
        return Grade(trial.id, name, "1", *empty)
    given = verdict()
    options = trial.options if len(trial.options) > 1 else ("yes", "no")
    wrong = next((option for option in options if option != trial.expected), options[0])
    right = trial.expected if trial.expected is not None else options[-1]
    answer = None if given is None else right if given else wrong
    return Grade(trial.id, name, "1", None, None, coherent, refused, "'Yes'", answer, is_correct(trial, answer))


_BASE = Scattered(
    protocol="detect",
    arms=("none", "injected", "random", "wrong", "negated"),
    questions=2,
    framings=2,
    concepts=4,
    sites=("1:0",),
    mode="loops",
    strengths=(1.0,),
    totals=(3,),
    extract=(None,),
    repeats=1,
    kept=1.0,
    failed=0.2,
    readouts="large",
    graders=(("rules", Habit(0.05, 1.0)),),
    reversed_in_controls=True,
    seed=165819,
)
FOUND = {
    "no contrast has a value": _BASE,
    "the text arm of a choice has no strength": replace(
        _BASE,
        protocol="choose",
        arms=("text", "injected", "wrong", "negated", "random"),
        framings=1,
        concepts=6,
        sites=("prelude:0",),
        strengths=(0.0, 2.0),
        readouts="spread",
        graders=(("rules", Habit(0.0, 0.05)),),
        seed=1,
    ),
    "the strongest dose is of a control": replace(
        _BASE,
        protocol="prior",
        arms=("random", "injected"),
        questions=1,
        framings=1,
        sites=("0:1",),
        strengths=(1.0, 16.0),
        totals=(3, 4),
        extract=(None, 1),
        kept=0.05,
        failed=0.0,
        graders=(("logits", Habit(0.05, 0.0)),),
        seed=36354,
    ),
}
"""Runs that broke a figure once, by what was in their way."""
