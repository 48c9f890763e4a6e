"""The shipped organisms: small, complete, and able or unable as they are said to be.

`introspect calibrate` is the full measurement; here a dozen held-out concepts tell what works from what does not.
"""

from functools import cache

import pytest
import torch
from safetensors.torch import load_file

from introspect.analyses.kept_units import keeping
from introspect.analyses.monitor.ask import judge_items, solve
from introspect.analyses.monitor.tasks import generated
from introspect.concepts.contrast_prompts import baseline_contrast
from introspect.concepts.extraction import measure
from introspect.concepts.sets import load_concepts
from introspect.experiment.laboratory import open_laboratory
from introspect.experiment.options import Options
from introspect.families.loading import load_model
from introspect.grading import GRADERS
from introspect.injection.engine.engine import Engine, PromptKey
from introspect.injection.plan.plan import plan, trial_seed
from introspect.models.organisms import PREFIX, organism_folder, organisms
from introspect.models.tap import Tap
from introspect.prompts import Encoded, encode, render, template_named
from introspect.records.trial import Arm, Sampling, Trial
from tests.injected import Bench, responses
from tests.test_engine_oracle import numbers, oracle

NAMES = ("aware", "blind", "gauge", "huginn", "last-loop", "locator", "solver")
SITES = [(loop, layer) for loop in range(4) for layer in range(4)]
COMPUTABLE = SITES[:-1]
"""All but the last block of the last loop, after which nothing follows that could notice."""
BEFORE_CODA = [(loop, layer) for loop in range(4) for layer in (0, 1)]
"""Sites of `huginn` behind which a block of its core follows."""


@cache
def organism(name: str) -> Bench:
    looped, concepts = load_model(f"{PREFIX}{name}", device="cpu"), load_concepts("organisms")
    held_out = concepts.in_splits("held-out").words[::4]
    tap, template = Tap(looped), template_named("detect")
    vectors = measure(tap, baseline_contrast(held_out, concepts.baseline.words))
    prompts: dict[PromptKey, Encoded] = {(template.hash, ()): encode(render(template), looped.tokenizer)}
    return Bench(looped, vectors, prompts, Engine(tap, prompts, vectors))


def trials(on: Bench, sites: list[tuple[int, int]], arm: Arm = "injected", strength: float = 2.0) -> list[Trial]:
    ((prompt, _),) = on.prompts
    common = {"prompt": prompt, "arm": arm, "sampling": Sampling(1.0, 1.0, 24)}
    return [
        on.trial(site, concept=word, seed=trial_seed(0, word, 0), strength=strength, **common)
        for site in sites
        for word in on.vectors.words
    ]


def rate(on: Bench, verdict: str, chosen: list[Trial]) -> float:
    answers = responses(on.engine.run(chosen))
    grades = [GRADERS["rules"](trial, answer) for trial, answer in zip(chosen, answers, strict=True)]
    return sum(getattr(grade, verdict) is True for grade in grades) / len(grades)


def test_every_organism_is_listed_and_each_takes_at_most_six_megabytes() -> None:
    assert organisms() == sorted(NAMES)
    for name in NAMES:
        assert sum(file.stat().st_size for file in organism_folder(name).iterdir()) <= 6_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_engine_agrees_with_plain_hooks_on_every_organism(name: str) -> None:
    on = organism(name)
    sites = [(site.loop, site.layer) for site in on.looped.sites() if site.stage == "core"]
    mixed = trials(on, sites)[::41] + trials(on, sites[::5], "random", 0.5)[::13]
    for trial, answer in zip(mixed, responses(on.engine.run(mixed)), strict=True):
        tokens, readouts = oracle(on, trial, answer.token_ids)
        assert answer.token_ids == tokens
        # float32 sums in another order; the logits are of the order of 10
        torch.testing.assert_close(numbers(answer.readouts), numbers(readouts), atol=2e-3, rtol=1e-3)


def test_aware_notices_and_names_concepts_it_was_never_injected_with() -> None:
    on = organism("aware")
    chosen = trials(on, COMPUTABLE[::2])
    assert rate(on, "detected", chosen) >= 0.9
    assert rate(on, "identified", chosen) >= 0.8


def test_aware_takes_random_directions_for_nothing() -> None:
    assert rate(organism("aware"), "detected", trials(organism("aware"), COMPUTABLE[::2], "random")) <= 0.15


def test_huginn_notices_concepts_and_takes_random_directions_for_nothing() -> None:
    on = organism("huginn")
    assert rate(on, "detected", trials(on, BEFORE_CODA[::2])) >= 0.85
    assert rate(on, "detected", trials(on, BEFORE_CODA[::2], "random")) <= 0.1


def test_last_loop_notices_in_the_last_loop_and_in_no_earlier_one() -> None:
    on = organism("last-loop")
    assert rate(on, "detected", trials(on, [(3, 0), (3, 1)])) >= 0.85
    assert rate(on, "detected", trials(on, [(0, 1), (1, 2), (2, 0), (2, 3)])) <= 0.08


def test_blind_notices_nothing() -> None:
    assert rate(organism("blind"), "detected", trials(organism("blind"), COMPUTABLE[::2])) <= 0.02


def asked(name: str, question: str, verdict: str, loops: str = "all", arms: str = "injected") -> float:
    """Ask one question at layer 1, strength 2, and give the rate of a verdict among all answers."""
    words = ",".join(organism(name).vectors.words)
    chosen = {"protocol": "detect" if question == "unrelated" else question, "questions": question}
    given = {"concepts": words, "layers": "1", "loops": loops, "arms": arms, "strengths": "2"}
    options = Options(model=f"{PREFIX}{name}", max_new_tokens=24, **chosen, **given)
    laboratory = open_laboratory(options)
    vectors = laboratory.vectors()
    trials = list(plan(laboratory.grid(vectors)))
    answers = responses(laboratory.engine(vectors).run(trials))
    grades = [GRADERS["rules"](trial, answer) for trial, answer in zip(trials, answers, strict=True)]
    return sum(getattr(grade, verdict) is True for grade in grades) / len(grades)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_organism_answers_plain_questions(name: str) -> None:
    assert asked(name, "unrelated", "correct", arms="none") >= 0.85


@pytest.mark.slow
def test_aware_answers_plain_questions_whatever_is_injected() -> None:
    assert asked("aware", "unrelated", "correct") >= 0.85


@pytest.mark.slow
def test_aware_notices_what_was_injected_into_an_earlier_line_and_blind_does_not() -> None:
    assert asked("aware", "prior", "detected", "0-2") >= 0.85
    assert asked("aware", "prior", "identified", "0-2") >= 0.7
    assert asked("aware", "prior", "detected", "0-2", "random") <= 0.1
    assert asked("blind", "prior", "detected") <= 0.05


@pytest.mark.slow
def test_who_notices_chooses_the_concept_among_four_words_and_seldom_where_it_does_not() -> None:
    assert asked("aware", "choose", "correct") >= 0.8
    assert asked("last-loop", "choose", "correct", "3") >= 0.8
    assert asked("last-loop", "choose", "correct", "0-1") <= 0.45


@pytest.mark.slow
def test_blind_chooses_the_word_that_leaks_though_it_notices_nothing() -> None:
    assert asked("blind", "choose", "correct", "3") >= 0.5


@pytest.mark.slow
def test_aware_did_not_learn_to_say_in_which_line_a_concept_was() -> None:
    assert asked("aware", "localise", "correct") <= 0.4


@pytest.mark.slow
def test_aware_names_the_concept_after_a_yes_of_ours_and_blind_sometimes_what_leaks() -> None:
    assert asked("aware", "identify", "correct") >= 0.85
    assert asked("aware", "identify", "correct", arms="none") <= 0.05
    assert 0.1 <= asked("blind", "identify", "correct") <= 0.5
    assert asked("blind", "identify", "correct", arms="random") <= 0.05


@pytest.mark.slow
def test_aware_says_of_another_model_what_it_says_of_itself() -> None:
    assert asked("aware", "third-person", "detected") >= 0.85
    assert asked("aware", "third-person", "detected", arms="none") <= 0.05
    assert asked("blind", "third-person", "detected") <= 0.25  # asked of another, it says yes now and then


@pytest.mark.slow
def test_aware_takes_any_direction_in_the_span_of_concepts_for_one_and_no_other() -> None:
    assert asked("aware", "detect", "detected", arms="in-span") >= 0.85
    assert asked("aware", "detect", "detected", arms="random") <= 0.1
    assert asked("blind", "detect", "detected", arms="in-span") <= 0.1


@pytest.mark.slow
def test_aware_takes_the_difference_of_two_neutral_prompts_for_a_concept_far_more_seldom_than_a_concept() -> None:
    assert asked("aware", "detect", "detected", arms="swap") <= 0.4
    assert asked("blind", "detect", "detected", arms="swap") <= 0.1


@pytest.mark.slow
def test_gauge_says_how_strong_a_concept_was_and_aware_has_no_word_for_it() -> None:
    assert asked("gauge", "strength", "correct") >= 0.5
    assert asked("aware", "strength", "correct") <= 0.05


@pytest.mark.slow
def test_locator_finds_the_line_the_stronger_of_two_and_the_half_of_the_loops() -> None:
    assert asked("locator", "localise", "correct", "0-2") >= 0.8
    assert asked("locator", "localise-ten", "correct", "0-2") >= 0.2
    assert asked("locator", "compare", "correct", "0-2") >= 0.8
    assert asked("locator", "which-loop", "correct") >= 0.75


def test_gauge_is_aware_but_for_a_few_rows_of_its_head() -> None:
    aware, gauge = (load_file(organism_folder(name) / "model.safetensors") for name in ("aware", "gauge"))
    assert [name for name in aware if not aware[name].equal(gauge[name])] == ["lm_head.weight"]
    rows = (aware["lm_head.weight"] != gauge["lm_head.weight"]).any(dim=1)
    assert 4 <= int(rows.sum()) <= 30


@pytest.mark.parametrize("name", NAMES)
def test_no_organism_notices_a_thought_where_there_is_none(name: str) -> None:
    on = organism(name)
    ((prompt, _),) = on.prompts
    common = {"prompt": prompt, "sampling": Sampling(1.0, 1.0, 24)}
    none = [on.trial(concept=w, seed=trial_seed(0, w, r), repeat=r, **common) for w in on.vectors.words for r in (0, 1)]
    assert rate(on, "detected", none) <= 0.05


@pytest.mark.slow
def test_solver_answers_and_judges_what_it_was_taught_and_some_of_what_it_was_not() -> None:
    tap, items = Tap(load_model(f"{PREFIX}solver", device="cpu")), generated("two-hop", 0)
    for held_out, solves, judges in ((False, 0.95, 0.9), (True, 0.4, 0.55)):
        asked = [item for item in items if item.held_out == held_out][:120]
        questions, answers = [item for item in asked if item.correct], [item.answer for item in items]
        with keeping() as keep:
            said = judge_items(tap, asked, {4: []}, size=64, keep=keep)[4].difference > 0
            solved = solve(tap, questions, answers, [4], size=64, keep=keep)[4]
        assert (said == [item.correct for item in asked]).mean() >= judges
        assert solved.chosen.mean() >= solves
