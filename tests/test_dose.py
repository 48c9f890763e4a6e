"""The dose in nats: the multiple that is found moves the next token by just so much, by an oracle of its own."""

import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from swept import run_without_figures

from introspect.experiment.laboratory import open_laboratory
from introspect.experiment.options import Options
from introspect.experiment.run import Run
from introspect.injection.engine.engine import prompt_key
from introspect.injection.engine.failures import Failure
from introspect.records.response import Response
from introspect.records.trial import Sampling, Site, Trial
from tests.injected import SPANS, Bench, bench
from tests.oracle import hooked, weights_of

ARMS = ("injected", "random", "in-span", "swap", "negated", "shuffled")


@pytest.fixture(scope="module")
def exact() -> Bench:
    return bench(torch.float64)


def dosed(on: Bench, nats: float, *sites: tuple[int, int], **changes: object) -> Trial:
    sites = sites or ((1, 0),)
    return on.trial(*sites, unit="kl", strength=nats, sampling=Sampling(max_new_tokens=3), **changes)


def pushes(on: Bench, trial: Trial) -> dict[Site, torch.Tensor]:
    with torch.inference_mode():
        return on.engine.pushes(trial)


def divergence(on: Bench, trial: Trial) -> float:
    """Work the divergence out with plain hooks, in one forward without a cache."""
    encoded, added = on.prompts[prompt_key(trial)], pushes(on, trial)
    weights = weights_of(encoded, (), len(encoded.token_ids))

    def add(site: Site, h: torch.Tensor) -> None:
        h[0] += added[site] * weights

    def run(visits: dict[Site, partial[None]]) -> torch.Tensor:
        arguments = on.looped.forward_arguments(trial.n_loops)
        with hooked(on.looped, visits), torch.no_grad():
            logits = on.looped.model(torch.tensor([encoded.token_ids]), use_cache=False, **arguments).logits
        return logits[0, -1].log_softmax(-1)

    clean, moved = run({}), run({site: partial(add, site) for site in added})
    return float((moved.exp() * (moved - clean)).sum())


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("nats", [0.001, 0.05, 0.5])
def test_the_dose_is_met_in_every_arm(exact: Bench, nats: float, arm: str) -> None:
    assert divergence(exact, dosed(exact, nats, arm=arm)) == pytest.approx(nats, rel=0.02)


@pytest.mark.parametrize("prompt", ["open", "closed", "whole", "two", "parted"])
def test_the_dose_is_met_wherever_the_span_is_and_at_several_sites(exact: Bench, prompt: str) -> None:
    trial = dosed(exact, 0.05, (0, 1), (2, 0), prompt=prompt)
    assert divergence(exact, trial) == pytest.approx(0.05, rel=0.02)


def test_the_multiple_is_the_vector_times_a_number_that_grows_with_the_dose(exact: Bench) -> None:
    vector = exact.vectors.at("dust", Site(1, 0), None).double()
    found = [pushes(exact, dosed(exact, nats))[Site(1, 0)] for nats in (0.01, 0.1, 0.3)]
    times = [float(push.norm() / vector.norm()) for push in found]
    assert times == sorted(times)
    assert times[0] > 0
    for push, number in zip(found, times, strict=True):
        assert torch.allclose(push, number * vector)


def test_no_dose_adds_nothing(exact: Bench) -> None:
    assert pushes(exact, dosed(exact, 0.0))[Site(1, 0)].norm() == 0


def test_the_multiple_does_not_depend_on_what_was_run_before_or_beside(exact: Bench) -> None:
    trials = [dosed(exact, nats, concept=concept) for nats in (0.2, 0.02) for concept in ("dust", "salt")]
    trials += [dosed(exact, 0.05, arm="random", seed=seed) for seed in (1, 2)]
    alone = [pushes(bench(torch.float64), trial)[Site(1, 0)] for trial in trials]
    together = exact.engine.run([replace(trial, sampling=Sampling(max_new_tokens=1)) for trial in trials])
    assert all(isinstance(one, Response) for one in together)
    for trial, before in zip(reversed(trials), reversed(alone), strict=True):
        assert torch.equal(pushes(exact, trial)[Site(1, 0)], before)


def test_a_dose_out_of_reach_fails_that_trial_alone_and_says_how_far_it_got(exact: Bench) -> None:
    far, near = dosed(exact, 50.0), dosed(exact, 0.05)
    failed, answered = exact.engine.run([far, near])
    assert isinstance(failed, Failure)
    assert failed.trial == far
    assert "no multiple of the vector up to 128 moves the next token by 50 nats; the most is" in failed.message
    assert isinstance(answered, Response)


def test_a_dose_too_small_for_the_ladder_fails_too(exact: Bench) -> None:
    (failed,) = exact.engine.run([dosed(exact, 1e-13)])
    assert isinstance(failed, Failure)
    assert "already moves" in failed.message


REFERENCE = "closed"


def on_a_reference(on: Bench, nats: float, **changes: object) -> Trial:
    trial = dosed(on, nats, **changes)
    assert trial.injection is not None
    return replace(trial, injection=replace(trial.injection, reference=REFERENCE))


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("nats", [0.001, 0.1])
def test_the_dose_is_met_on_the_reference_text(exact: Bench, nats: float, arm: str) -> None:
    trial = on_a_reference(exact, nats, arm=arm)
    asked = replace(trial, template=REFERENCE, template_hash=REFERENCE)
    assert torch.equal(pushes(exact, asked)[Site(1, 0)], pushes(exact, trial)[Site(1, 0)])
    assert divergence(exact, asked) == pytest.approx(nats, rel=0.02)


def test_one_vector_serves_all_questions_and_what_it_does_there_differs(exact: Bench) -> None:
    trials = [on_a_reference(exact, 0.1, prompt=prompt) for prompt in SPANS if len(SPANS[prompt]) == 1]
    added = [pushes(exact, trial)[Site(1, 0)] for trial in trials]
    assert all(torch.equal(each, added[0]) for each in added)
    moved = [divergence(exact, trial) for trial in trials]
    assert max(moved) > 1.5 * min(moved)


def test_a_question_with_weighted_spans_has_the_multiplier_of_the_reference(exact: Bench) -> None:
    weighted = on_a_reference(exact, 0.1, prompt="two", weights=(1.0, 0.5))
    assert torch.equal(pushes(exact, weighted)[Site(1, 0)], pushes(exact, on_a_reference(exact, 0.1))[Site(1, 0)])


def test_the_multiplier_is_stored_with_the_trial(exact: Bench) -> None:
    trial = on_a_reference(exact, 0.1)
    (answered,) = exact.engine.run([trial])
    assert isinstance(answered, Response)
    (stored,) = (each for each in answered.measures if each.name == "multiplier")
    vector = exact.vectors.at("dust", Site(1, 0), None).double()
    assert (stored.loop, stored.layer) == (1, 0)
    assert torch.allclose(pushes(exact, trial)[Site(1, 0)], stored.value * vector)


def test_a_dose_out_of_reach_says_so_with_the_name_of_its_state(exact: Bench) -> None:
    far = on_a_reference(exact, 50.0)
    (failed,) = exact.engine.run([far])
    assert isinstance(failed, Failure)
    assert failed.message.startswith(f"trial {far.id}: unreachable dose: no multiple of the vector up to 128")


def test_a_run_in_nats_gives_one_multiplier_per_concept_and_outcomes_that_vary(tmp_path: Path) -> None:
    options = Options(
        concepts="trust,doubt", loops="2", layers="1", strengths="0.05,1e9", strength_unit="kl", arms="injected",
        max_new_tokens=2, out=tmp_path,
    )  # fmt: skip
    run_without_figures(options)
    with Run.open(tmp_path) as run:
        run.check()
        near, far = (run.trials[run.trials["strength"] == strength] for strength in (0.05, 1e9))
        assert set(far["state"]) == {"unreachable"}
        assert (near.groupby("concept")["multiplier"].nunique() == 1).all()
        assert near["multiplier"].nunique() == 2
        assert near.groupby("concept")["question"].nunique().eq(2).all()
        again = run.trial(near["trial"].iloc[0])
        assert again.replay().text == again.text
    entropy = pd.read_sql(
        "SELECT n, max(entropy) AS entropy FROM readouts GROUP BY n", sqlite3.connect(tmp_path / "run.sqlite")
    )
    assert entropy["entropy"].nunique() > 2


def test_a_run_of_an_earlier_design_measures_the_dose_on_its_own_prompts() -> None:
    options = Options(
        concepts="trust,doubt", loops="2", layers="1", strengths="0.05", strength_unit="kl", arms="injected"
    )
    old, new = (open_laboratory(options, for_run=False, design=design) for design in (2, 3))
    assert "reference" not in old.manifest()
    assert [template for template, _ in new.manifest()["reference"].values()] == ["dose-reference"]
    trials = [next(iter(each.plan(each.vectors()))).injection for each in (old, new)]
    assert [each.reference is None for each in trials if each] == [True, False]
