"""States of neutral prompts for the arm `swap`: recorded as plain passes have them, kept with the run, named in ids."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from oracle import hooked
from swept import options, run_without_figures
from tiny import tiny_model
from torch import Tensor

from introspect.concepts.extraction import cached, extract, record_states, states_manifest
from introspect.concepts.prompt_states import PromptStates
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.experiment.run import Run
from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Tap
from introspect.protocols.material import sentences
from introspect.records.trial import Site, Trial
from introspect.results.store.store import Store
from tests.injected import Bench, bench
from tests.tiny_raven import tiny_raven

ROUNDING = {"rtol": 1e-4, "atol": 1e-4}
"""Of float32: padding changes the order in which attention adds up; states here are of size 1 to 10."""
SWAP = {"arms": "injected,none,random,swap", "questions": "detect"}


@pytest.fixture(scope="module")
def on() -> Bench:
    return bench()


@pytest.fixture(scope="module")
def swapped(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("runs") / "swapped"
    run_without_figures(options(tiny, folder, **SWAP))
    with Run.open(folder) as opened:
        yield opened


def last_states_of(looped: LoopedModel, ids: Tensor) -> dict[Site, Tensor]:
    """Run one prompt alone and untraced for 4 loops, and return its last token's state at every site."""
    seen = dict[Site, Tensor]()

    def keep(site: Site, h: Tensor) -> None:
        seen[site] = h[0, -1].clone()

    arguments = looped.forward_arguments(4) | looped.prompt_arguments(torch.ones_like(ids))
    with hooked(looped, {site: partial(keep, site) for site in looped.sites(4)}), torch.no_grad():
        looped.model(input_ids=ids, **arguments)
    return seen


def trials_of(folder: Path, *arms: str) -> list[Trial]:
    with Store.open(folder) as store:
        return [trial for trial in store.trials() if trial.arm in arms]


@pytest.mark.parametrize("make", [tiny_model, tiny_raven], ids=["ouro", "huginn"])
def test_the_states_are_those_of_each_sentence_alone_at_its_last_token_at_every_site(
    make: Callable[[], LoopedModel],
) -> None:
    tap = Tap(make())
    looped, states = tap.looped, record_states(tap, n_loops=4)
    assert states.texts == tuple(each.text for each in sentences() if not each.abstract)
    assert {site.stage for site in looped.sites(4)} == {"core", *states.outside}
    for row, text in list(enumerate(states.texts))[::13]:
        ids = torch.tensor([looped.tokenizer(looped.chat([{"role": "user", "content": text}]))["input_ids"]])
        seen = last_states_of(looped, ids)
        for site in looped.sites(4):
            torch.testing.assert_close(states.at(site)[row], seen[site], **ROUNDING)
            if site.stage == "core":
                assert torch.equal(states.at(site, 1)[row], states.values[row, 1, site.layer])


def test_vectors_come_back_from_a_file_with_their_states_and_have_the_hash_that_they_have_without(
    on: Bench, tmp_path: Path
) -> None:
    with_states, without = on.vectors, replace(on.vectors, states=None)
    assert with_states.hash == without.hash
    with_states.save(tmp_path / "v.safetensors")
    again = ConceptVectors.open(tmp_path / "v.safetensors")
    assert again.states is not None
    assert again.hash == without.hash
    assert (again.states.texts, again.states.hash) == (with_states.states.texts, with_states.states.hash)
    assert torch.equal(again.states.values, with_states.states.values)


def test_a_file_whose_states_have_any_byte_changed_is_refused(tmp_path: Path) -> None:
    states = PromptStates(("one", "two"), torch.arange(8.0).reshape(2, 2, 1, 2), {"template": "plain"})
    file = tmp_path / "v.safetensors"
    ConceptVectors(("dust",), torch.ones(1, 2, 1, 2), {}, {}, states).save(file)
    good = file.read_bytes()
    for at in range(8, len(good), 3):
        file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(InputError, match=r"v.safetensors (is damaged|holds no concept vectors)"):
            ConceptVectors.open(file)


def test_a_kept_file_without_the_states_that_are_needed_is_refused_and_one_with_them_is_not(tmp_path: Path) -> None:
    tap = Tap(tiny_model())
    vectors, wanted = extract(tap, ["dust"], ["fog", "snow"]), states_manifest(tap)
    cached(tmp_path, vectors.manifest, lambda: vectors)
    with pytest.raises(InputError, match="no such states of neutral prompts as the arm swap needs; delete it"):
        cached(tmp_path, vectors.manifest, lambda: vectors, wanted)
    (file,) = tmp_path.iterdir()
    file.unlink()
    cached(tmp_path, vectors.manifest, lambda: replace(vectors, states=record_states(tap)), wanted)
    assert cached(tmp_path, vectors.manifest, lambda: vectors, wanted).states is not None
    assert cached(tmp_path, vectors.manifest, lambda: vectors).hash == vectors.hash


def test_trials_of_the_other_arms_have_the_ids_that_they_have_in_a_run_without_swap(
    swapped: Run, finished: Path
) -> None:
    others = ("injected", "none", "random")
    before = {trial.id for trial in trials_of(finished, *others) if trial.question == "detect"}
    assert {trial.id for trial in trials_of(swapped.folder, *others)} == before
    with Run.open(finished) as run:
        assert run.vectors.states is None
        assert run.vectors.hash == swapped.vectors.hash


def test_a_trial_of_the_arm_says_what_was_added_and_shares_its_draws_with_its_controls(swapped: Run) -> None:
    trials = trials_of(swapped.folder, "swap")
    injected = trials_of(swapped.folder, "injected")
    assert {trial.injection.states for trial in trials} == {swapped.vectors.states.hash}
    assert {(trial.concept, trial.seed) for trial in trials} == {(trial.concept, trial.seed) for trial in injected}
    assert len(trials) == len(injected)
    other = replace(trials[0], injection=replace(trials[0].injection, states="others"))
    assert other.id != trials[0].id


def test_a_trial_of_the_arm_is_replayed_found_as_a_control_and_made_of_another_arm(swapped: Run) -> None:
    trials = [swapped.trial(each.id) for each in trials_of(swapped.folder, "swap")]
    assert [trial.replay().text for trial in trials[:4]] == [trial.text for trial in trials[:4]]
    injected = trials[0].control("injected")
    assert injected.record.injection.states is None
    assert injected.control("swap").id == trials[0].id
    assert injected.replay(arm="swap").trial == trials[0].record


def test_a_run_without_the_arm_says_so_when_a_trial_is_to_be_changed_into_it(finished: Path) -> None:
    with Run.open(finished) as run:
        injected = run.trial(trials_of(finished, "injected")[0].id)
        with pytest.raises(InputError, match="has no arm swap, so that no states of prompts were recorded"):
            injected.replay(arm="swap")


def test_a_trial_of_other_states_or_of_another_arm_with_states_is_refused(on: Bench) -> None:
    trial = on.trial((0, 0), arm="swap")
    for bad, said in (
        (replace(trial, injection=replace(trial.injection, states="x")), "states hash 'x'"),
        (replace(trial, injection=replace(trial.injection, states=None)), "states hash None"),
        (replace(trial, arm="injected"), "here it is None"),
    ):
        with pytest.raises(InputError, match=said):
            on.engine.run([trial, bad])
    bare = type(on.engine)(on.engine.tap, on.prompts, replace(on.vectors, states=None))
    with pytest.raises(InputError, match="holds no such states of neutral prompts as the arm swap needs"):
        bare.run([trial])
