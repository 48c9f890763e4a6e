"""The benchmarks compare like with like, count as by hand, and run; nothing is said about how long anything takes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer

from benchmarks import cost, engines, memory, same_text, scaling, store
from benchmarks.baselines import Tokens, cells, generate, run_cell
from benchmarks.floors import step_bytes
from benchmarks.gpu import equality, program
from benchmarks.lesser_engines import EngineWithoutCleanPass, IdleEngine
from benchmarks.products import recorded
from benchmarks.setting import Setting, injection_of, named_setting
from benchmarks.timing import Budget, Variant, in_turn, ratio
from introspect.errors import InputError
from introspect.injection.engine.engine import Engine
from introspect.injection.plan.plan import plan
from introspect.records.response import Response
from introspect.records.trial import Trial
from introspect.results.store.store import Store


@pytest.fixture(scope="module")
def aware() -> Setting:
    return named_setting("organism")


def strong(trials: list[Trial], strength: float) -> list[Trial]:
    return [replace(trial, injection=replace(injection_of(trial), strength=strength)) for trial in trials]


def test_trials_cross_sites_and_concepts_each_once(aware: Setting) -> None:
    trials = aware.trials(256, 4)
    assert len({trial.id for trial in trials}) == 256
    assert sorted(map(len, cells(trials))) == [16] * 16
    assert trials[:16] != sorted(trials, key=lambda trial: injection_of(trial).sites)[:16]


@pytest.mark.slow
def test_both_baselines_write_what_the_engine_writes(aware: Setting) -> None:
    assert engines.share_equal(aware, strong(aware.trials(32, 12), 4.0)) == (1.0, 1.0)


def test_a_baseline_without_its_vectors_writes_something_else(aware: Setting) -> None:
    trials = aware.trials(16, 6)
    written, without = (
        run_cell(aware.plain, aware.encoded, aware.vectors, strong(trials, strength)) for strength in (4.0, 0.0)
    )
    assert written != without


def test_rows_of_a_cell_end_where_their_turn_ends(aware: Setting) -> None:
    trials = aware.trials(16, 8)
    endless = run_cell(aware.plain, aware.encoded, aware.vectors, trials)
    end = endless[0][3]
    ended = run_cell(aware.plain, aware.encoded, aware.vectors, trials, [end])
    assert len(ended[0]) <= 4
    for short, long in zip(ended, endless, strict=True):
        assert short == long[: len(short)]
        assert end not in short[:-1]


def test_the_empty_plan_writes_what_no_injection_writes(aware: Setting) -> None:
    trials = strong(aware.trials(8, 12), 8.0)
    idle = IdleEngine(aware.tap, aware.engine.prompts, aware.vectors)
    none = [replace(trial, arm="none", injection=None) for trial in trials]
    written = [result.token_ids for result in aware.engine.run(none) if isinstance(result, Response)]
    assert engines.ours(idle, trials, 8) == written
    assert engines.ours(aware.engine, trials, 8) != written


def test_an_empty_plan_runs_as_much_as_what_it_is_held_against(aware: Setting) -> None:
    trials, done = aware.trials(8, 6), []
    for made in (EngineWithoutCleanPass, IdleEngine):
        before = aware.tap.work
        engines.ours(made(aware.tap, aware.engine.prompts, aware.vectors), trials, 8)
        done.append(aware.tap.work - before)
    assert done[0] == done[1] > 0


def test_plain_generation_makes_as_many_tokens_as_are_asked_for(aware: Setting) -> None:
    assert [len(row) for row in generate(aware.plain, aware.encoded, 3, 5)] == [5] * 3


def test_the_plain_copy_shares_the_weights_and_nothing_else(aware: Setting) -> None:
    ours, theirs = aware.looped.model, aware.plain
    assert ours.lm_head.weight.data_ptr() == theirs.lm_head.weight.data_ptr()
    assert theirs.config._attn_implementation == "sdpa"
    assert not set(ours.modules()) & set(theirs.modules())


def test_variants_take_turns_and_stop_when_the_time_is_spent() -> None:
    order: list[str] = []
    variants = [Variant("x", lambda: order.append("x"), 1), Variant("y", lambda: order.append("y"), 2)]
    taken = in_turn(variants, 2)
    assert order == ["x", "y", "x", "y"]
    assert {name: len(seconds) for name, seconds in taken.items()} == {"x": 2, "y": 2}
    in_turn(variants, 3, Budget(-1.0))
    assert len(order) == 4


def test_a_ratio_compares_round_by_round() -> None:
    assert str(ratio([2.0, 6.0, 4.0], [1.0, 2.0, 4.0])) == "2.00 (1.00-3.00)"


def test_a_step_reads_weights_once_a_loop_and_its_keys_and_values(aware: Setting) -> None:
    blocks = 16 * (4 * 128**2 + 3 * 128 * 256 + 4 * 128) + 128 * 2099
    token = 2 * 16 * 128
    shared = step_bytes(aware.looped, aware.encoded, 8, 10, shared=True)
    assert shared == 4 * (blocks + (106 + 8 * 34) * token)
    assert step_bytes(aware.looped, aware.encoded, 8, 10, shared=False) - shared == 4 * 7 * 106 * token


def test_the_cost_on_paper_is_that_of_a_case_by_hand() -> None:
    shape = cost.Shape("toy", n_layers=2, n_loops=3, width=4, hidden=8, vocabulary=10)
    plan = cost.Plan(prefix=10, span=3, new_tokens=5, concepts=2, strengths=2, repeats=3)
    machine = cost.Machine(
        flops=8000,
        bandwidth=1000,
        memory=1e4,
        flops_used=0.5,
        bandwidth_used=1.0,
        block_overhead=1.0,
        graded=0.25,
        written=10.0,
    )
    toy = cost.Cost(shape, plan, machine, rows=4, graphs=True)
    assert plan.trials(shape) == (144, 6)
    assert (shape.block_weights, shape.head_weights, shape.token_bytes) == (160, 40, 96)
    assert toy.row_bytes == 768
    assert toy.fitting == (8000 - 2 * (320 + 80) - 960) // 768
    assert toy.step_weights == (8000, 2000)
    assert toy.step_attention == (5952, 3072)
    assert toy.prefill == (9600 + 960, 800)
    assert list(toy.parts.values()) == pytest.approx([2.64, 4 * 2.0, 4 * 3.072, 4 * 0.25, 0.0])
    assert toy.gpu_seconds() == pytest.approx(150 * 23.928 / 4)
    assert toy.wall(10)["storing"] == 15.0
    eager = replace(toy, graphs=False)
    assert sum(eager.parts.values()) == pytest.approx(2.64 + 4 * 0.25 + 4 * 6 * 1.0)


def test_the_sweep_of_a_published_shape_has_the_size_that_the_paper_gives() -> None:
    small, large = cost.SHAPES
    weights = small.n_layers * small.block_weights + 2 * small.head_weights
    assert weights / 1e9 == pytest.approx(1.4, abs=0.05)
    assert small.token_bytes == 786_432
    assert cost.Plan().trials(large) == (384_000, 250)


def test_the_cost_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    cost.main(rows=64, gpus=8)
    printed = capsys.readouterr().out
    assert "192,250" in printed
    assert "minutes on 8" in printed


def test_the_store_is_measured_on_a_plan_of_both_questions_and_with_all_that_a_sweep_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SAMPLE", 20)
    monkeypatch.setattr(store, "write_figures", lambda *_: None)
    measured = [step.what for step in store.measure(120, tmp_path)]
    assert ["store", "grade by the rules", "tables, trials.csv included"] == [
        what for what in measured if what in ("store", "grade by the rules", "tables, trials.csv included")
    ]
    with Store.open(tmp_path / "run") as filled:
        assert filled.count() == 120
        assert all(len(filled.grades(trial.id)) == 1 for trial in filled.trials())
    counts = plan(store.GRID).counts
    assert {variant.question.name for variant, _ in counts.tallies} == {"detect", "unrelated"}
    assert len(plan(store.grid_of(10**6))) >= 10**6 > len(plan(store.grid_of(10**6))) - counts.total


def test_engines_are_compared_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    engines.main("organism", trials=4, rounds=1, new_tokens=2)
    printed = capsys.readouterr().out
    assert "tokens equal to ours: 100.0% of trials in (b), 100.0% in (a)" in printed
    for line in ("ours, 4 rows", "(a) one at a time", "(b) rows of one cell", "(c) plain generate", "(w) over (d)"):
        assert line in printed
    assert "transformers" in printed


def test_engines_that_write_different_tokens_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "share_equal", lambda *_: (0.94, 1.0))
    with pytest.raises(InputError, match=r"94.0% of trials; 95% are needed"):
        engines.main("organism", trials=2, rounds=1, new_tokens=2)


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="unknown benchmark model 'huge'"):
        engines.main("huge")


def test_scaling_prints_every_axis(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "AXES", {"rows": (1, 2), "loops": (1,), "prompt": (32,), "cells": (2,)})
    scaling.main(trials=2, rounds=1, new_tokens=2, memory_rows="")
    printed = capsys.readouterr().out
    for axis in scaling.AXES:
        assert axis in printed


def test_memory_is_measured_beside_its_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    memory.main(2, n_layers=1, n_loops=1, new_tokens=2)
    assert capsys.readouterr().out.startswith('{"measured": ')


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own() -> None:
    found = memory.in_process_of_its_own(64, 2, 2, 50)
    assert found["measured"] > 0
    assert found["estimated"] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_its_benchmark_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        program.main()
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_gpu_benchmark_runs_in_small_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.main(rounds=1, out=tmp_path / "gpu.json", tiny=True, device="cpu")
    printed, found = capsys.readouterr().out, json.loads((tmp_path / "gpu.json").read_text())
    assert "tiny: a decode step" in printed
    assert "(b) rows of one cell" in printed
    assert found["equality"] == {"graph": 1.0}
    assert [(row["rows"], row["step"]) for row in found["steps"]] == [
        (rows, step) for rows in (2, 4) for step in ("graph", "graph, empty plan", "plain generate")
    ]
    assert [row["variant"] for row in found["trials"]] == ["graph", "(b) rows of one cell, plain hooks"]


def test_an_engine_that_writes_something_else_on_a_gpu_is_not_timed(
    aware: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert equality.shares(aware, ["graph"], 4, 3) == {"graph": 1.0}
    honest = equality.ours

    def otherwise(engine: Engine, trials: Sequence[Trial], rows: int) -> list[Tokens]:
        written = honest(engine, trials, rows)
        return [(*written[0], 0), *written[1:]] if engine.steps.name == "graph" else written

    monkeypatch.setattr(equality, "ours", otherwise)
    assert equality.shares(aware, ["graph"], 4, 3) == {"graph": 0.75}
    with pytest.raises(InputError, match=r"engine 'graph': tokens equal in 75.0% of trials; 95% needed"):
        equality.check_equal({"graph": 0.75})


def test_the_gpu_benchmark_names_what_it_has_no_time_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.main(rounds=1, minutes=0.0, out=tmp_path / "gpu.json", tiny=True, device="cpu")
    printed = capsys.readouterr().out
    assert "left out, the time is spent" in printed
    assert "trials a second left out" in printed


def test_the_products_of_a_run_are_all_there_also_where_nothing_is_differentiated() -> None:
    model, x = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 2, bias=False)), torch.ones(3, 4)

    def run() -> None:
        with torch.inference_mode():
            made = model(x)
            made[None] @ made.T[None]

    products = recorded(model, run)
    assert [(*left.shape, right.shape[-1]) for left, right in products.pairs] == [(3, 4, 8), (3, 8, 2), (1, 3, 2, 3)]
    assert products.pairs[1][1].data_ptr() == model[1].weight.data_ptr(), "weights are read where they lie"


def test_answers_that_another_company_changes_are_counted(aware: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = aware.trials(4, new_tokens=3)
    assert set(same_text._changed(aware.engine, trials).values()) == {0}
    honest = same_text.ours

    def alone_otherwise(engine: Engine, asked: Sequence[Trial], rows: int) -> list[Tokens]:
        written = honest(engine, asked, rows)
        return [(*written[0], 0), *written[1:]] if rows == 1 else written

    monkeypatch.setattr(same_text, "ours", alone_otherwise)
    assert same_text._changed(aware.engine, trials) == dict.fromkeys(same_text.COMPANY, 0) | {"alone": 1}
