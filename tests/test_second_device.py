"""All that meets a device, with a second one pretended: see `accelerator.py`. And whole sweeps in half formats."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from accelerator import CARD, CPU, Accelerator, MixedDevicesError, placed, put
from families import FAMILIES
from injected import Bench, bench_on
from oracle import numbers
from swept import options, run_without_figures
from torch import Tensor

from introspect.analyses.dynamics.fixed_points import measure_fixed_points
from introspect.analyses.dynamics.recovery import followed_recovery
from introspect.analyses.dynamics.stages import measure_stages
from introspect.analyses.kept_units import keeping
from introspect.analyses.monitor.ask import judge_items
from introspect.analyses.monitor.tasks import Item
from introspect.analyses.trajectory.cache_memory import remembered
from introspect.analyses.trajectory.measure import measured
from introspect.concepts.contrast_prompts import baseline_contrast
from introspect.concepts.extraction import measure as extract
from introspect.injection.engine.batch import Pool
from introspect.injection.engine.failures import Failure
from introspect.injection.engine.recording import record_residual
from introspect.injection.engine.uncached_forward import Rows, batches, walk
from introspect.models.looped_model import LoopedModel
from introspect.records.response import Response
from introspect.records.trial import Sampling, Trial

SHORT = ("ouro", "raven", "mor-expert", "llama@1-2-damped")
"""Families that every run of the tests looks at; `make slow` looks at all."""
EACH = [pytest.param(name, marks=() if name in SHORT else pytest.mark.slow) for name in FAMILIES]
TEXTS = ("A thought about bread, and then about snow.", "No.")


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator()


@contextmanager
def watched_steps(accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Forbid copies to the host in decode steps, but for that of what was drawn; list the steps that were run."""
    steps: list[str] = []

    def within(method: str, planned: Sequence[str]) -> None:
        plain = getattr(Pool, method)

        def watched(self: Pool, *given: object) -> object:
            steps.append(method)
            with accelerator.step(planned):
                return plain(self, *given)

        monkeypatch.setattr(Pool, method, watched)

    with monkeypatch.context():
        within("_next", ("compare",))  # of the step that is held against nnsight, one in 128
        within("_write", ("_drawn",))
        yield steps


def mixed(on: Bench) -> list[Trial]:
    """Make trials of every kind: several spans and weights, doses in nats and of the residual stream, sampling."""
    first, last = on.looped.sites()[0], on.looped.sites()[-1]
    again = [(on.looped.n_loops - 1, 0)] if on.looped.n_loops > 1 else []
    sampling = Sampling(0.7, 0.8, 3)
    trials = [
        on.trial((first.loop, first.layer), sampling=Sampling(max_new_tokens=3)),
        on.trial((last.loop, last.layer), prompt="closed", sampling=sampling, options=("yes", "bread")),
        on.trial((0, 0), *again, unit="residual", strength=0.5, sampling=sampling),
        on.trial((0, 0), prompt="parted", weights=(1.0, 0.5, 2.0), sampling=sampling),
        on.trial((0, 0), unit="kl", strength=0.01, sampling=sampling),
        on.trial(sampling=sampling),
        on.trial(sampling=Sampling(0.0, max_new_tokens=4)),
    ]
    if on.looped.n_loops > 1 and hasattr(on.looped.model, "_exit"):
        trials += [on.trial((0, 0), sampling=Sampling(max_new_tokens=3, exit=exit_)) for exit_ in ("gate", "0")]
    return trials


def on_card(looped: LoopedModel, accelerator: Accelerator) -> Bench:
    put(looped.model)
    with accelerator:
        return bench_on(looped)


def same(one: Response | Failure, other: Response | Failure) -> bool:
    if isinstance(one, Failure) or isinstance(other, Failure):
        return isinstance(one, Failure) and isinstance(other, Failure) and one.message == other.message
    measured = [[measure.value for measure in each.measures] for each in (one, other)]
    torch.testing.assert_close(numbers(one.readouts), numbers(other.readouts), atol=1e-9, rtol=0)
    torch.testing.assert_close(*map(torch.tensor, measured), atol=1e-9, rtol=0)
    return one.token_ids == other.token_ids


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("name", EACH)
def test_trials_are_run_as_on_one_device_and_a_step_asks_the_other_for_its_tokens_only(
    name: str, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = bench_on(FAMILIES[name].make(dtype=torch.float64))
    expected = plain.engine.run(mixed(plain), rows=2)
    on = on_card(FAMILIES[name].make(dtype=torch.float64), accelerator)
    with watched_steps(accelerator, monkeypatch) as steps, accelerator:
        assert on.looped.device == CARD
        results = on.engine.run(mixed(on), rows=2)
        for trial, result in zip(mixed(on)[:4], results, strict=False):
            assert isinstance(result, Response), result
            record_residual(on.engine, trial, result)
    assert all(map(same, results, expected))
    assert {"_next", "_write"} == set(steps)
    within = {line.partition("(")[2].rstrip(")") for line in accelerator.within}
    assert within == {"_drawn", *(["compare"] if on.engine.steps.name == "graph" else [])}


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("name", EACH)
def test_vectors_and_analyses_need_no_tensor_on_the_other_device(name: str, accelerator: Accelerator) -> None:
    on = on_card(FAMILIES[name].make(dtype=torch.float32), accelerator)
    looped, n_loops = on.looped, on.looped.n_loops
    at = [on.trial((0, 0), prompt=prompt, concept=word) for prompt in ("open", "parted") for word in ("dust", "salt")]
    trials = [*at, *(replace(trial, arm="random") for trial in at)]
    with accelerator, keeping() as keep:
        vectors = extract(on.engine.tap, baseline_contrast(("dust",), ("salt", "bread")))
        assert (vectors.values.device, placed(vectors.values)) == (CPU, CPU)
        measured(on.engine, trials, 4)
        remembered(on.engine, trials, 4)
        followed_recovery(on.engine, trials, n_loops=n_loops, batch_size=4, keep=keep)
        rows = list(batches(looped, TEXTS, size=2, most_tokens=16))
        items = [Item("What is 2 + 2?", "4", correct=True, group="a")]
        judge_items(on.engine.tap, items, {n_loops: looped.sites(n_loops)}, size=2, keep=keep)
        if not looped.by_token:
            measure_stages(on.engine.tap, rows, n_loops=n_loops, keep=keep)
            measure_fixed_points(partial(shown, on, rows[0], n_loops), rows[0].mask, looped.n_layers, n_loops)


def shown(on: Bench, rows: Rows, n_loops: int, look, sites) -> None:
    walk(on.engine.tap, rows, look, n_loops=n_loops, sites=sites)


def test_what_is_made_without_a_device_cannot_be_mixed_in(accelerator: Accelerator) -> None:
    layer = torch.nn.Linear(3, 3)
    put(layer)
    with accelerator, torch.inference_mode():
        with pytest.raises(MixedDevicesError, match="mixes the CPU and the accelerator"):
            layer(torch.ones(2, 3))
        y = layer(torch.ones(2, 3).to(layer.weight.device))
        assert y.device == y[0].device == y.new_zeros(3).device == torch.arange(3, device=y.device).device == CARD
        assert (y * torch.tensor(2.0)).device == y[[0, 1]].device == y[torch.tensor([0])].device == CARD
        assert torch.tensor([1]).device == y.cpu().device == torch.zeros(2).device == CPU
        with pytest.raises(MixedDevicesError, match="mixes"):
            torch.ones(3)[torch.tensor([0], device=y.device)]
        with pytest.raises(MixedDevicesError, match="numpy"):
            y.numpy()


@pytest.mark.parametrize(
    "ask",
    [
        Tensor.tolist,
        Tensor.cpu,
        lambda y: y[0].item(),
        lambda y: int(y[0]),
        lambda y: bool(y.any()),
        lambda y: y[y > 0],
        Tensor.nonzero,
    ],
)
def test_what_waits_for_the_device_is_seen_within_a_step(ask, accelerator: Accelerator) -> None:
    y = torch.nn.Parameter(torch.ones(3))
    layer = torch.nn.ParameterList([y])
    put(layer)
    with accelerator, torch.inference_mode():
        ask(y + 1)
        with accelerator.step([]), pytest.raises(MixedDevicesError, match="copies to the host within a step"):
            ask(y + 1)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_whole_sweep_runs_in_a_half_format(dtype: str, tmp_path: Path, tiny: Path) -> None:
    folder = run_without_figures(options(tiny, tmp_path / "run", dtype=dtype))
    trials = pd.read_csv(folder / "tables" / "trials.csv")
    assert (trials["state"] == "done").all(), trials["error"].dropna().unique()
    assert set(trials["dtype"]) == {dtype}
    assert (trials[trials["arm"] == "injected"]["vector_norm"] > 0).all()
