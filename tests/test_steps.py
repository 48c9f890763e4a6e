"""Steps from buffers against steps through nnsight and plain hooks, and the guards of both."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from families import FAMILIES
from injected import Bench, bench, bench_on, responses, varied
from oracle import numbers, oracle
from pretended_graph import pretend
from swept import options, run_without_figures, tables

from benchmarks.setting import random_model, random_vectors, setting, shape
from introspect.errors import InputError
from introspect.experiment.preconditions import check_surroundings
from introspect.injection.answers.sampling import draw
from introspect.injection.engine import batch
from introspect.injection.engine.batch import Pool
from introspect.injection.engine.engine import Engine
from introspect.injection.engine.failures import Failure
from introspect.injection.step.additions import Additions
from introspect.injection.step.steps import Checks, GraphStep, StepError, TracedStep
from introspect.models.looped_model import SiteError
from introspect.models.tap import Tap
from introspect.records.trial import Sampling, Site, Trial


def engine(on: Bench, steps: str) -> Engine:
    return Engine(on.engine.tap, on.prompts, on.vectors, steps=steps)


@pytest.mark.slow_after(5)  # plain hooks hold the buffers of all others in test_families.py
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_the_same_tokens_through_nnsight_and_from_buffers(name: str) -> None:
    on = bench_on(FAMILIES[name].make(dtype=torch.float64), loops=FAMILIES[name].loops)
    trials = varied(on.mixed(seed=3, n=16))
    traced, graph = (engine(on, steps).run(trials, rows=5) for steps in ("nnsight", "graph"))
    kinds = [isinstance(result, Failure) for result in traced]
    assert kinds == [isinstance(result, Failure) for result in graph]
    for one, other, failed in zip(traced, graph, kinds, strict=True):
        if failed:
            assert one.message == other.message
        else:
            assert one.token_ids == other.token_ids, one.trial_id
            torch.testing.assert_close(numbers(other.readouts), numbers(one.readouts), atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["ouro", "raven", "hrm", "mor-token", "llama@1-2-damped", "ponderlm2", "tah"])
def test_steps_from_buffers_are_what_plain_hooks_give_one_trial_at_a_time(name: str) -> None:
    on = bench_on(FAMILIES[name].make(dtype=torch.float64))
    loops, layers = on.looped.n_loops, on.looped.n_layers
    trials = [
        on.trial((loop, layer), prompt=prompt, sampling=Sampling(temperature, max_new_tokens=5))
        for prompt, temperature in (("open", 1.0), ("parted", 0.0))
        for loop, layer in ((0, 0), (loops - 1, layers - 1))
    ]
    for trial, result in zip(trials, responses(engine(on, "graph").run(trials, rows=3)), strict=True):
        assert result.token_ids == oracle(on, trial, result.token_ids)[0], trial


def test_a_trial_is_the_same_alone_and_in_any_number_of_rows() -> None:
    on = bench(torch.float64)
    trials = on.mixed(seed=5, n=16)
    alone = [engine(on, "graph").run([trial])[0] for trial in trials]
    for rows in (2, 7, 16):
        together = engine(on, "graph").run(trials, rows=rows)
        for one, other in zip(alone, together, strict=True):
            assert isinstance(one, Failure) or one.token_ids == other.token_ids


def test_the_logits_of_a_trial_alone_are_those_in_a_batch_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    looped = random_model(shape(128, 352, 4))
    made = setting(looped, looped.model, random_vectors(looped))
    trials = [each for each in made.trials(20, 6) if each.injection is not None][:20]
    trials = [replace(each, injection=trials[0].injection) for each in trials]  # one site, so that all begin together

    def drawn(run: Sequence[Trial]) -> list[torch.Tensor]:
        """Return the logits of every step, `(row, vocabulary)`."""
        seen: list[torch.Tensor] = []
        with monkeypatch.context() as patched:
            patched.setattr(
                batch, "draw", lambda logits, *given: (seen.append(logits.clone()), draw(logits, *given))[1]
            )
            responses(Engine(made.tap, made.engine.prompts, made.vectors, steps="graph").run(run, rows=len(run)))
        return seen

    together = drawn(trials)
    assert len(together) == 6
    for place in (0, 7, 19):
        for step, (one, all_rows) in enumerate(zip(drawn(trials[place : place + 1]), together, strict=True)):
            assert torch.equal(one[0], all_rows[place]), f"row {place}, step {step}"


def test_a_trial_that_takes_the_row_of_one_that_left_has_its_own_additions() -> None:
    on = bench(torch.float64)
    lengths = (7, 2, 4, 7, 3, 5, 2, 6, 4, 7)
    trials = [
        on.trial((n % 3, n % 2), seed=n, strength=4.0, sampling=Sampling(max_new_tokens=length))
        for n, length in enumerate(lengths)
    ]
    alone = [responses(engine(on, "nnsight").run([trial]))[0].token_ids for trial in trials]
    for rows in (3, 5):
        together = responses(engine(on, "graph").run(trials, rows=rows))
        assert [answer.token_ids for answer in together] == alone


@pytest.fixture
def on() -> Bench:
    return bench(torch.float64)


def test_no_step_goes_through_nnsight_but_the_first_and_every_hundred_and_twenty_eighth(
    on: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced, graph = list[int](), list[int]()
    for kind, steps in ((TracedStep, traced), (GraphStep, graph)):
        plain = kind.run

        def counted(self, *given, plain=plain, steps=steps):
            steps.append(1)
            return plain(self, *given)

        monkeypatch.setattr(kind, "run", counted)
    on.looped.end_of_turn = ()
    trials = [on.trial((1, 0), seed=seed, sampling=Sampling(max_new_tokens=66)) for seed in range(4)]
    engine_ = engine(on, "graph")
    engine_.run(trials, rows=2)
    assert (len(graph), len(traced)) == (130, 2)
    more = 2 * 2 * len(on.looped.sites())  # two steps of two rows, run a second time
    assert engine_.work.done == engine_.work.least + more


def test_a_site_that_a_step_does_not_reach_is_an_error(on: Bench) -> None:
    tap = Tap(on.looped)
    beyond = Additions(on.looped, tap.bare, [Site(0, 1), Site(2, 0)], 3, 1)
    beyond.begin()
    tap.bare(torch.tensor([[5]]), n_loops=2)
    with pytest.raises(SiteError, match="planned sites 0:1, 2:0; visited 0:1"):
        beyond.end()
    beyond.remove()


def test_a_site_that_is_reached_twice_is_an_error(on: Bench) -> None:
    tap = Tap(on.looped)
    additions = Additions(on.looped, tap.bare, [Site(0, 1)], 3, 1)
    additions.begin()
    tap.bare(torch.tensor([[5]]), n_loops=1)
    additions._calls.clear()
    tap.bare(torch.tensor([[5]]), n_loops=1)
    with pytest.raises(SiteError, match="visited 0:1, 0:1"):
        additions.end()
    additions.remove()


def test_a_buffer_that_holds_something_else_is_found_by_the_check(on: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = GraphStep.admit

    def forgotten(self: GraphStep, first: int, trials: list[int]) -> None:
        plain(self, first, trials)
        self.additions.added.zero_()

    monkeypatch.setattr(GraphStep, "admit", forgotten)
    with pytest.raises(StepError, match="a step from buffers and the same step through nnsight differ"):
        engine(on, "graph").run([on.trial((0, 0))])


def test_what_is_finite_in_one_step_must_be_so_in_the_other() -> None:
    whole, broken = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, torch.nan]])
    Checks().compare(broken, broken)
    for pair in ((whole, broken), (broken, whole)):
        with pytest.raises(StepError, match="differ by inf"):
            Checks().compare(*pair)


def test_an_addition_that_is_lost_in_rounding_only_behind_the_prompt_fails_its_trial_alone(
    on: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = GraphStep.admit

    def faint(self: GraphStep, first: int, trials: list[int]) -> None:
        plain(self, first, trials)
        self.additions.added[:, [first + trials.index(1)]] = 1e-300

    monkeypatch.setattr(GraphStep, "admit", faint)
    monkeypatch.setattr(Checks, "due", lambda _: False)
    trials = [on.trial((1, 0), seed=seed) for seed in range(3)]
    failed = [isinstance(result, Failure) for result in engine(on, "graph").run(trials)]
    assert failed == [False, True, False]


def test_the_model_is_left_as_it_was(on: Bench) -> None:
    before = {path: set(vars(module)) for path, module in on.looped.model.named_modules()}
    engine(on, "graph").run([on.trial((0, 0)), on.trial((2, 1))])
    assert {path: set(vars(module)) for path, module in on.looped.model.named_modules()} == before
    assert not any(module._forward_hooks for module in on.engine.tap.bare.modules())


def test_a_bare_copy_has_no_weights_of_its_own() -> None:
    tap = bench_on(FAMILIES["llama@1-2-damped"].make(dtype=torch.float32)).engine.tap
    mine = [parameter.data_ptr() for parameter in tap.looped.model.parameters()]
    assert [parameter.data_ptr() for parameter in tap.bare.parameters()] == mine
    assert not {id(module) for module in tap.bare.modules()} & {id(module) for module in tap.looped.model.modules()}


def test_a_model_that_cannot_be_copied_goes_through_nnsight_or_is_refused(
    on: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(on.looped), "copies", False)
    assert engine(on, "auto").steps.name == "nnsight"
    with pytest.raises(InputError, match="engine 'graph': model 'tiny' is run by its own code"):
        engine(on, "graph")
    with pytest.raises(InputError, match="engine"):
        engine(on, "vllm")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own, as it compiles
@pytest.mark.parametrize("name", ["ouro", "raven", "llama@1-2-damped", "mor-token", "hrm", "tah"])
def test_compiled_steps_give_the_same_tokens(name: str) -> None:
    on = bench_on(FAMILIES[name].make(dtype=torch.float64))
    trials = [trial for trial in on.mixed(seed=4, n=40) if trial.n_loops == on.looped.n_loops]
    of_one_span = [each for each in trials if each.injection is None or len(each.injection.weights or (1.0,)) == 1]
    trials = [replace(trial, template_hash="open", variables=()) for trial in of_one_span]
    traced, compiled = (engine(on, steps).run(trials, rows=4) for steps in ("nnsight", "graph:compile"))
    for one, other in zip(traced, compiled, strict=True):
        assert isinstance(one, Failure) or one.token_ids == other.token_ids


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_captured_graph_gives_the_same_tokens_without_any_python_of_ours(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = pretend(monkeypatch)
    on = bench_on(FAMILIES[name].make(dtype=torch.float64))
    on.looped.end_of_turn = tuple(range(0, len(on.looped.tokenizer), 5))  # rows leave, and others take their place
    loops, layers = on.looped.n_loops, on.looped.n_layers
    trials = [
        on.trial((loop, layer), seed=seed, prompt=prompt, sampling=Sampling(1.0, max_new_tokens=6))
        for loop, layer in ((0, 0), (loops - 1, layers - 1))
        for seed, prompt in enumerate(("open", "closed", "open"))
    ]
    traced, captured = (responses(engine(on, steps).run(trials, rows=3)) for steps in ("nnsight", "graph:cuda"))
    assert [each.token_ids for each in captured] == [each.token_ids for each in traced]
    assert sum(graph.replays for graph in graphs) > len(graphs) > 0


def test_an_engine_that_this_machine_lacks_is_refused_before_a_model_is_loaded(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, words in (("vllm", "engine"), ("graph:cuda", "CUDA graphs run on a GPU of NVIDIA's; the model is on")):
        with pytest.raises(InputError, match=words):
            check_surroundings(options(tiny, tmp_path / "run", engine=name, device="cpu"))
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(InputError, match="on a processor it needs a C\\+\\+ compiler, one of g\\+\\+"):
        check_surroundings(options(tiny, tmp_path / "run", engine="graph:compile", device="cpu"))


@pytest.mark.slow
def test_a_run_that_was_begun_one_way_is_continued_the_other_with_the_same_tables(tmp_path: Path, tiny: Path) -> None:
    asked = options(tiny, tmp_path / "run", dtype="float64")
    expected = tables(run_without_figures(replace(asked, out=tmp_path / "whole", engine="nnsight")))
    with pytest.raises(KeyboardInterrupt):
        run_without_figures(replace(asked, engine="nnsight"), stop_after(16))
    assert tables(run_without_figures(replace(asked, engine="graph"))).keys() == expected.keys()
    found = tables(tmp_path / "run")
    for name in ("rates.csv",):
        assert found[name] == expected[name]


def stop_after(trials: int):
    def report(done: int, *_: object) -> None:
        if done >= trials:
            raise KeyboardInterrupt

    return report


def test_pools_take_their_step_from_the_engine(on: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[type]()
    plain = Pool.run

    def noted(self: Pool):
        seen.append(type(self.step))
        return plain(self)

    monkeypatch.setattr(Pool, "run", noted)
    for steps in ("nnsight", "graph", "auto"):
        engine(on, steps).run([on.trial((0, 0))])
    assert seen == [TracedStep, GraphStep, GraphStep]
