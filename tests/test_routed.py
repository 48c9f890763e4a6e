"""Routed tokens: which of the span each loop has run is told beside the answer, against plain hooks."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from families import FAMILIES
from injected import bench_on, responses
from oracle import hooked
from torch import Tensor
from typer.testing import CliRunner

from introspect.cli import app
from introspect.records.trial import Site

ROUTED = [name for name, family in FAMILIES.items() if family.routed]


@pytest.mark.parametrize("name", ROUTED)
def test_the_share_of_the_span_that_a_loop_has_run_is_that_of_plain_hooks(name: str) -> None:
    on = bench_on(FAMILIES[name].make(dtype=torch.float64), loops=FAMILIES[name].loops)
    sites = [(), *(((site.loop, site.layer),) for site in on.looped.sites())]
    trials = [on.trial(*each, prompt="closed", strength=1000.0) for each in sites]
    found = []
    for trial, answer in zip(trials, responses(on.engine.run(trials)), strict=True):
        prompt = on.prompts[trial.template_hash, ()]
        start, stop = prompt.spans[0]
        assert trial.injection is not None or trial.arm == "none"

        def add(h: Tensor, site: Site, trial: object = trial, span: slice = slice(start, stop)) -> None:
            h[0, span] += trial.injection.strength * on.vectors.at(trial.concept, site).double()

        planned = () if trial.injection is None else trial.injection.sites
        with hooked(on.looped, {site: lambda h, site=site, add=add: add(h, site) for site in planned}), torch.no_grad():
            run = on.looped.model(torch.tensor([prompt.token_ids]), n_loops=trial.n_loops, use_cache=False).routed
        share = run[:, 0, start:stop].double().mean(-1).tolist()
        assert [(measure.name, measure.loop) for measure in answer.measures] == [
            ("routed", loop) for loop in range(trial.n_loops)
        ]
        assert [measure.value for measure in answer.measures] == share
        found.append(tuple(share))
    moved = len(set(found)) > 1
    assert moved == (name != "mor-token")  # where tokens choose, they do so before the first loop


def test_a_family_that_runs_all_tokens_says_nothing() -> None:
    on = bench_on(FAMILIES["recursive"].make(dtype=torch.float64))
    assert all(answer.measures == () for answer in responses(on.engine.run([on.trial((0, 0)), on.trial()])))


@pytest.mark.slow
def test_a_sweep_tells_which_share_each_loop_has_run(tmp_path: Path) -> None:
    looped = FAMILIES["mor-expert"].make(dtype=torch.float32)
    looped.model.save_pretrained(tmp_path / "model")
    looped.tokenizer.save_pretrained(tmp_path / "model")
    fixed = ["--concepts", "dust,snow,bread", "--strengths", "2", "--max-new-tokens", "2", "--questions", "detect"]
    ran = CliRunner().invoke(app, ["sweep", str(tmp_path / "model"), *fixed, "--out", str(tmp_path / "run")])
    assert (ran.exit_code, ran.stderr) == (0, "")
    table = pd.read_csv(tmp_path / "run" / "tables" / "routed.csv")
    injected = table[table["arm"] == "injected"]
    assert set(zip(injected["loop"], injected["run_loop"], strict=True)) == {(i, j) for i in range(3) for j in range(3)}
    assert table["mean"].between(0, 1).all()
    assert (table["n"] == 3).all()
