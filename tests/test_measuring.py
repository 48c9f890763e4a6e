"""What the protocol of mental control measures: cosines, equal to those computed by hand from the recorded states."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from introspect.concepts.vectors import ConceptVectors
from introspect.injection.engine.block_stream import run_all
from introspect.injection.engine.engine import Engine, prompt_key
from introspect.injection.engine.failures import Failure
from introspect.injection.engine.recording import record_residual
from introspect.injection.prefix.measuring import measured_cosines
from introspect.prompts import Prompts, template_named
from introspect.records.response import Measure, Response
from introspect.records.trial import Sampling, Site, Trial
from tests.injected import Bench, bench, responses
from tests.oracle import hooked

WORDS = ("dust", "salt", "bread", "snow", "lamp")
ONE = Sampling(max_new_tokens=1)


@pytest.fixture(scope="module")
def on() -> Bench:
    """Return a bench with five words, on which the control template can be asked."""
    made = bench(torch.float64)
    shape = (len(WORDS), 3, 2, made.looped.d_model)
    vectors = ConceptVectors(WORDS, torch.randn(shape, generator=torch.Generator().manual_seed(5)), {})
    prompts = Prompts([template_named("control")], made.looped.tokenizer)
    return Bench(made.looped, vectors, prompts, Engine(made.engine.tap, prompts, vectors))


def asked(on: Bench, concept: str = "salt", instruction: str = "Think about salt.", **changes: object) -> Trial:
    variables = (("instruction", instruction), ("sentence", "The tide comes in at noon."))
    named = {"prompt": template_named("control").hash, "variables": variables, "protocol": "control", "sampling": ONE}
    return on.trial(concept=concept, question="control-think", **{**named, **changes})


def by_hand(on: Bench, trial: Trial, states: dict[Site, torch.Tensor]) -> list[Measure]:
    """Compute the cosines token by token and word by word, from states `(token, d_model)` of the whole prompt."""
    encoded, made = on.prompts[prompt_key(trial)], []
    for site, h in states.items():
        of: dict[str, float] = {}
        for word in WORDS:
            vector = on.vectors.at(word, site).double()
            inside = [position for start, stop in encoded.spans for position in range(start, stop or len(h))]
            each = [float(h[at] @ vector / h[at].norm() / vector.norm()) for at in inside]
            of[word] = sum(each) / len(each)
        others = torch.tensor([of[word] for word in WORDS if word != trial.concept])
        spread = (((others - others.mean()) ** 2).sum() / (len(others) - 1)).sqrt()
        numbers = {"cosine": of[trial.concept], "cosine_others": others.mean().item(), "cosine_sd": spread.item()}
        made += [Measure(name, site.loop, site.layer, value) for name, value in numbers.items()]
    return made


def close(one: tuple[Measure, ...], other: list[Measure]) -> bool:
    places = [[(each.name, each.loop, each.layer) for each in side] for side in (one, other)]
    return places[0] == places[1] and [each.value for each in one] == pytest.approx([each.value for each in other])


@pytest.mark.parametrize("concept", ["salt", "lamp"])
def test_the_cosines_are_those_of_the_states_of_the_copied_sentence(on: Bench, concept: str) -> None:
    trial = asked(on, concept)
    (response,) = responses(on.engine.run([trial]))
    kept = record_residual(on.engine, trial, response)
    states = {site: kept[site.loop, site.layer] for site in on.looped.sites()}
    assert len(response.measures) == 3 * len(states)
    assert close(response.measures, by_hand(on, trial, states))


def test_they_are_those_of_plain_hooks_too(on: Bench) -> None:
    trial = asked(on)
    states: dict[Site, torch.Tensor] = {}

    def keep(site: Site, h: torch.Tensor) -> None:
        states[site] = h[0].clone()

    visits = {site: partial(keep, site) for site in on.looped.sites()}
    with hooked(on.looped, visits), torch.no_grad():
        ids = on.prompts[prompt_key(trial)].token_ids
        on.looped.model(input_ids=torch.tensor([ids]), use_cache=False)
    (response,) = responses(on.engine.run([trial]))
    assert close(response.measures, by_hand(on, trial, states))


def test_the_span_is_the_sentence_that_is_copied(on: Bench) -> None:
    encoded = on.prompts[prompt_key(asked(on))]
    (start, stop) = (encoded.span_start, encoded.span_stop)
    assert on.looped.tokenizer.decode(list(encoded.token_ids[start:stop])) == "The tide comes in at noon."


def test_another_instruction_gives_other_cosines_and_other_draws_the_same(on: Bench) -> None:
    first, second, again = responses(
        on.engine.run([asked(on), asked(on, instruction="Do not think about salt."), asked(on, seed=99)])
    )
    assert first.measures != second.measures
    assert first.measures == again.measures


def test_a_batch_of_concepts_and_prompts_measures_what_each_alone_does(on: Bench) -> None:
    trials = [asked(on, word, f"Think about {word}.") for word in WORDS]
    ran = responses([result for block in run_all(on.engine, trials, 2) for _, result in block])
    assert [one.measures for one in ran] == [responses(on.engine.run([trial]))[0].measures for trial in trials]


@pytest.mark.parametrize(("scale", "cosine"), [(3.0, 1.0), (-0.1, -1.0)])
def test_a_state_along_the_vector_has_a_cosine_of_1_whatever_the_norms(on: Bench, scale: float, cosine: float) -> None:
    prefix = on.engine.prefix((prompt_key(asked(on)), 3, "last"))
    one_token = replace(prefix, encoded=replace(prefix.encoded, span_start=prefix.split, span_stop=prefix.split + 1))
    values = on.vectors.values.clone()
    for site, h in prefix.states.items():
        values[2, site.loop, site.layer] = (scale * h[0, 0]).float()
    measures = measured_cosines(one_token, ConceptVectors(WORDS, values, {}), "bread")
    assert [each.value for each in measures if each.name == "cosine"] == pytest.approx([cosine] * 6)


def test_loops_without_vectors_and_sets_too_small_for_others_are_not_measured(on: Bench) -> None:
    longer = asked(on, n_loops=4)
    (response,) = responses(on.engine.run([longer]))
    assert {each.loop for each in response.measures} == {0, 1, 2}
    prefix = on.engine.prefix((prompt_key(longer), 4, "last"))
    two = ConceptVectors(WORDS[:2], on.vectors.values[:2], {})
    assert measured_cosines(prefix, two, "salt") == ()


def test_no_other_protocol_is_measured_and_no_vectors_measure_nothing(on: Bench) -> None:
    for protocol in ("detect", "choose"):
        (response,) = responses(on.engine.run([asked(on, protocol=protocol)]))
        assert response.measures == ()
    bare = Engine(on.engine.tap, on.prompts)
    result: Response | Failure = bare.run([asked(on)])[0]
    assert isinstance(result, Response)
    assert result.measures == ()
