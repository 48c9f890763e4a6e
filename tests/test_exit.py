"""The exit: where answers are drawn from, and what the gate would do, against plain hooks."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from families import FAMILIES
from injected import Bench, bench, bench_on, responses
from oracle import hooked
from tiny import save_tiny, tiny_model
from torch import Tensor
from typer.testing import CliRunner

from introspect.cli import app
from introspect.errors import InputError
from introspect.records.response import Response
from introspect.records.trial import Sampling, Site, Trial

GATES = ("gate", "gate:0.5", "gate:0.9", "0", "1", "2")


@pytest.fixture(scope="module")
def on() -> Bench:
    return bench(torch.float64)


def greedy(exit_: str) -> Sampling:
    return Sampling(temperature=0.0, max_new_tokens=5, exit=exit_)


def trials(on: Bench, exit_: str) -> list[Trial]:
    sites = [(), *(((site.loop, site.layer),) for site in on.looped.sites())]
    return [on.trial(*each, prompt="closed", sampling=greedy(exit_)) for each in sites]


def plain(on: Bench, trial: Trial, **arguments: object) -> list[int]:
    """Draw the answer greedily, without a cache, the vector added by plain hooks."""
    prompt, answer = on.prompts[trial.template_hash, ()], list[int]()
    start, stop = prompt.spans[0]

    def add(h: Tensor, site: Site) -> None:
        h[0, start:stop] += trial.injection.strength * on.vectors.at(trial.concept, site).double()

    sites = [] if trial.injection is None else trial.injection.sites
    while len(answer) < trial.sampling.max_new_tokens and not {*answer} & {*on.looped.end_of_turn}:
        ids = torch.tensor([[*prompt.token_ids, *answer]])
        with hooked(on.looped, {site: lambda h, site=site: add(h, site) for site in sites}), torch.no_grad():
            logits = on.looped.model(ids, n_loops=trial.n_loops, use_cache=False, **arguments).logits
        answer.append(int(logits[0, -1].argmax()))
    return answer


@pytest.mark.parametrize("exit_", GATES)
def test_tokens_are_drawn_where_the_model_leaves(on: Bench, exit_: str) -> None:
    given = on.looped.exit_arguments(exit_)
    answers = responses(on.engine.run(trials(on, exit_)))
    for trial, answer in zip(trials(on, exit_), answers, strict=True):
        assert list(answer.token_ids) == plain(on, trial, **given)
    if exit_ == "0":
        last = responses(on.engine.run(trials(on, "last")))
        assert [one.token_ids for one in answers] != [one.token_ids for one in last]


def test_an_exit_changes_no_read_out(on: Bench) -> None:
    kept = responses(on.engine.run(trials(on, "last")))
    for exit_ in GATES:
        for one, other in zip(responses(on.engine.run(trials(on, exit_))), kept, strict=True):
            for mine, theirs in zip(one.readouts, other.readouts, strict=True):
                assert mine.logit_yes == pytest.approx(theirs.logit_yes, abs=1e-9)
                assert mine.loop == theirs.loop


def exits(answer: Response) -> list[float]:
    assert [(measure.name, measure.layer) for measure in answer.measures] == [("exit", 0)] * len(answer.readouts)
    return [measure.value for measure in answer.measures]


def test_the_gates_distribution_is_that_of_plain_hooks_and_adds_up_to_one(on: Bench) -> None:
    found = []
    for trial, answer in zip(trials(on, "gate"), responses(on.engine.run(trials(on, "gate"))), strict=True):
        states: list[Tensor] = []
        prompt = on.prompts[trial.template_hash, ()]
        span = slice(*prompt.spans[0])

        def visit(
            h: Tensor, site: Site, trial: Trial = trial, span: slice = span, states: list[Tensor] = states
        ) -> None:
            if trial.injection is not None and site in trial.injection.sites:
                h[0, span] += trial.injection.strength * on.vectors.at(trial.concept, site).double()
            if site.layer == on.looped.n_layers - 1:
                states.append(on.looped.model.model.norm(h)[0, -1].clone())

        visits = {site: lambda h, site=site, visit=visit: visit(h, site) for site in on.looped.sites(3)}
        with hooked(on.looped, visits), torch.no_grad():
            on.looped.model(torch.tensor([prompt.token_ids]), n_loops=3, use_cache=False)
            first, second, _ = (torch.sigmoid(on.looped.model.model.early_exit_gate(h)).item() for h in states)
        expected = [first, (1 - first) * second, (1 - first) * (1 - second)]
        assert exits(answer) == pytest.approx(expected, abs=1e-9)
        found.append(tuple(expected))
    assert len(set(found)) == 4  # as without any, but for 0:0, 0:1 and 1:0, behind which a gate still decides


def test_the_last_loop_asks_no_gate(on: Bench) -> None:
    assert all(answer.measures == () for answer in responses(on.engine.run(trials(on, "last"))))


@pytest.mark.parametrize("name", ["raven", "llama"])
def test_a_family_without_a_gate_refuses_one(name: str) -> None:
    other = bench_on(FAMILIES[name].make(dtype=torch.float32), loops=FAMILIES[name].loops)
    trial = replace(other.trial(), sampling=greedy("gate"))
    with pytest.raises(InputError, match=r"exit 'gate': model .* has no exit gate"):
        other.engine.run([trial])


def swept(folder: Path, *options: str) -> tuple[int, str]:
    save_tiny(tiny_model(), folder / "model")
    fixed = ["--concepts", "dust,snow,bread", "--strengths", "2", "--max-new-tokens", "2", "--questions", "detect"]
    ran = CliRunner().invoke(app, ["sweep", str(folder / "model"), *fixed, *options, "--out", str(folder / "run")])
    return ran.exit_code, ran.stderr


@pytest.mark.slow
def test_a_sweep_tells_the_expected_exit_of_every_arm_and_loop(tmp_path: Path) -> None:
    assert swept(tmp_path, "--exit", "gate:0.9", "--layers", "0") == (0, "")
    table = pd.read_csv(tmp_path / "run" / "tables" / "exits.csv")
    assert set(table["arm"]) == {"none", "injected", "random", "wrong"}
    assert table[table["arm"] == "injected"]["loop"].tolist() == [0, 1, 2]
    assert table["mean"].between(0, 2).all()
    assert (table["n"] == 3).all()
    assert (tmp_path / "run" / "figures" / "exit_by_loop.png").stat().st_size > 5_000


def test_an_exit_at_a_loop_that_is_not_run_is_refused(tmp_path: Path) -> None:
    code, said = swept(tmp_path, "--exit", "3")
    assert (code, said.count("\n")) == (2, 1)
    assert "exit 3: some trials run 3 loops, 0 to 2" in said
