"""Trajectories: a trial beside its control, what lenses read along it, and what a probe finds in the cache."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from families import FAMILIES
from injected import bench_on
from torch import Tensor

from introspect.analyses.trajectory.cache_memory import Remembered, held, remembered
from introspect.analyses.trajectory.lenses import coda_lens, logit_lens, readable, spoken
from introspect.analyses.trajectory.measure import MeasuredPaths, measured
from introspect.analyses.trajectory.paths import control_of, walked_states
from introspect.analyses.trajectory.probe import PROBES, Probe, folds, probed
from introspect.analyses.trajectory.tables import differences, readable_rates, readings, totals
from introspect.injection.answers.answer_tokens import AnswerTokens
from introspect.records.trial import Site, Trial

CONCEPTS = ("dust", "salt", "bread")


@pytest.fixture(scope="module")
def found() -> MeasuredPaths:
    """Measure trials at two sites, with nothing and something injected."""
    bench = bench_on(FAMILIES["ouro"].make(dtype=torch.float32))
    trials = [
        replace(bench.trial(site, strength=strength), concept=concept)
        for site in ((0, 1), (1, 0))
        for strength in (0.0, 2.0)
        for concept in CONCEPTS
    ]
    return measured(bench.engine, trials, 4)


@pytest.mark.parametrize("name", FAMILIES)
def test_paths_of_a_batch_are_those_of_its_trials_alone_and_end_in_what_the_model_says(name: str) -> None:
    bench = bench_on(FAMILIES[name].make(dtype=torch.float64))
    looped, n_loops = bench.looped, bench.looped.n_loops
    trials, last = (
        [bench.trial((0, 0)), bench.trial((n_loops - 1, 0), strength=-3.0), bench.trial()],
        looped.n_layers - 1,
    )
    with torch.inference_mode():
        alone = [walked_states(bench.engine, [trial]).points for trial in trials]
        ids = torch.tensor([bench.prompts["open", ()].token_ids])
        plain = looped.model(ids, **looped.forward_arguments(n_loops), **looped.prompt_arguments(torch.ones_like(ids)))
        batch = walked_states(bench.engine, trials)
        torch.testing.assert_close(batch.points, torch.cat(alone))
        end = Site(n_loops - 1, last)
        through = logit_lens(looped, batch.points[:, 1 + looped.sites(n_loops).index(end)])
        said = coda_lens(looped, batch.whole[end]) if looped.coda else through
        if not looped.summed:  # else a path ends in the part of its last loop, and the model says the sum
            torch.testing.assert_close(said[2], plain.logits[0, -1])
        assert not torch.allclose(said[0], said[2])
        torch.testing.assert_close(logit_lens(looped, batch.points[:, -1]), said)
        assert torch.equal(said, through) == (not looped.coda)


def test_the_first_point_is_the_embedding_of_the_last_token() -> None:
    bench = bench_on(FAMILIES["raven"].make(dtype=torch.float64))
    with torch.inference_mode():
        points = walked_states(bench.engine, [bench.trial((0, 0))]).points[0]
    token = torch.tensor([[bench.prompts["open", ()].token_ids[-1]]])
    assert torch.equal(points[0], bench.looped.model.embedded(token, token)[0, 0])


def test_without_an_injection_nothing_differs_by_a_bit(found: MeasuredPaths) -> None:
    idle = (found.trials["strength"] == 0).to_numpy()
    for key in found.injected:
        assert np.array_equal(found.injected[key][idle], found.control[key][idle], equal_nan=True), key
    assert np.abs(found.difference("salience", "unembedding")[~idle]).max() > 0


def test_paths_part_at_the_injected_site_and_not_before(found: MeasuredPaths) -> None:
    for sites, rows in found.trials.groupby("sites").indices.items():
        place = list(map(str, found.sites)).index(str(sites))
        rows = rows[found.trials["strength"].iloc[rows] > 0]
        for metric in ("unembedding", "raw"):
            apart = np.abs(found.difference("salience", metric)[rows])
            assert apart[:, :place].max(initial=0) == 0
            assert apart[:, place].min() > 0
            bent = np.abs(found.difference("curvature", metric)[rows])
            assert bent[:, : place - 1].max(initial=0) == 0
            assert bent[:, place - 1].min() > 0


def test_a_batch_of_one_measures_what_a_batch_of_four_does() -> None:
    bench = bench_on(FAMILIES["raven"].make(dtype=torch.float64))
    trials = [replace(bench.trial((0, 1), strength=s), concept=c) for s in (1.0, 2.0) for c in CONCEPTS]
    alone, together = (measured(bench.engine, trials, size) for size in (1, 4))
    for key in alone.injected:
        np.testing.assert_allclose(alone.injected[key], together.injected[key], atol=1e-9, rtol=1e-6)
        np.testing.assert_allclose(alone.control[key], together.control[key], atol=1e-9, rtol=1e-6)


def test_means_are_over_concepts_in_which_repeats_count_once() -> None:
    trials = pd.DataFrame({"concept": ["a", "a", "b", "c"], "arm": "injected", "sites": "0:0", "strength": 1.0})
    values = {("salience", "raw"): np.array([[1.0], [3.0], [4.0], [np.nan]])}
    keys = [(quantity, metric) for quantity in ("salience", "curvature", "area") for metric in ("raw", "unembedding")]
    empty = {key: np.zeros((4, 1)) for key in keys}
    table = differences(MeasuredPaths(trials, [Site(0, 0)], empty | values, empty))
    row = table[(table["quantity"] == "salience") & (table["metric"] == "raw")].iloc[0]
    assert (row["mean"], row["n"], row["control"]) == (3, 2, 0)
    assert (row["low"], row["high"]) == pytest.approx((3 - 12.706, 3 + 12.706), abs=1e-3)  # t of one degree of freedom


def test_totals_say_how_alike_profiles_are(found: MeasuredPaths) -> None:
    table = totals(found)
    idle, pushed = (table[table["strength"] == strength] for strength in (0, 2))
    assert (idle["mean"] == 0).all()
    assert idle["profile_r"].to_numpy() == pytest.approx(1)
    assert (pushed["profile_r"] < 1).all()
    assert (table["n"] == 3).all()


def test_a_concept_is_readable_where_its_control_is_not_until_it_is_no_more() -> None:
    ranks = np.array([[99, 9, 50, 0, 10], [0, 0, 0, 0, 0], [99, 99, 99, 3, 3], [np.nan, 99, 99, 99, 99]])
    control = np.array([[99, 99, 99, 99, 99], [0, 0, 9, 9, 9], [99, 99, 99, 10, 10], [99, 99, 99, 99, 99]])
    read = readable(ranks, control)
    assert read.first.tolist() == [1, -1, 3, -1]
    assert read.lost.tolist() == [4, -1, 5, -1]


def test_readings_name_sites_and_agree_with_the_rates(found: MeasuredPaths) -> None:
    numbers = {key: value.copy() for key, value in found.injected.items()}
    ranks = numbers["logit", "concept", "rank"]
    ranks[:] = found.control["logit", "concept", "rank"].max() + 50
    ranks[0, 2:4] = 0
    control = found.control | {("logit", "concept", "rank"): np.full_like(ranks, 99)}
    changed = replace(found, injected=numbers, control=control)
    table = readings(changed)
    first = table.iloc[0]
    assert (first["readable_from"], first["lost_from"]) == tuple(map(str, (found.sites[2], found.sites[4])))
    assert table["readable_from"].iloc[1:].isna().all()
    rates = readable_rates(changed)
    cell = rates[(rates["sites"] == first["sites"]) & (rates["strength"] == first["strength"])]
    assert cell["rate"].tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, *[0] * (len(cell) - 4)])


def test_words_are_read_whatever_their_spelling() -> None:
    answers = AnswerTokens(FAMILIES["ouro"].make(dtype=torch.float32).tokenizer)
    p = torch.full((1, 400), 1e-6, dtype=torch.float64)
    p[0, list(answers.yes)] = 0.3 / len(answers.yes)
    p[0, answers.no[0]] = 0.2
    free = next(t for t in range(400) if t not in {*answers.yes, *answers.no, *answers.first("dust")})
    p[0, free] = 0.4
    (said,) = spoken((p / p.sum()).log(), answers, ["dust"])
    total = p.sum().item()
    assert said[:, 1].tolist() == pytest.approx(
        [0.3 / total, said[1, 1].item(), len(answers.first("dust")) * 1e-6 / total], rel=1e-4
    )
    assert said[1].tolist()[0] == 1 + (p[0, answers.yes[0]] > 0.2) * len(answers.yes)
    assert said[2, 0] == 2 + len(answers.yes)


def kinds(n_concepts: int, strengths: tuple[float, ...], wordings: tuple[str, ...]) -> pd.DataFrame:
    rows = [(f"c{c}", s, w) for s in strengths for w in wordings for c in range(n_concepts)]
    return pd.DataFrame(rows, columns=["concept", "strength", "wording"]).assign(sites="0:1", arm="injected", repeat=0)


@pytest.mark.parametrize("probe", PROBES)
def test_a_planted_direction_is_found_and_noise_and_shuffled_names_are_at_chance(probe: Probe) -> None:
    trials, rng = kinds(10, (1.0, 2.0, 4.0), ("a", "b")), np.random.default_rng(1)
    planted = (
        rng.normal(size=(10, 32))[trials["concept"].astype("category").cat.codes]
        * trials["strength"].to_numpy()[:, None]
    )
    noise = rng.normal(size=(len(trials), 32))
    changes = np.stack([np.zeros_like(noise), noise, planted + 0.1 * noise], axis=1).astype(np.float32)
    sites = [Site(0, 0), Site(0, 1), Site(0, 2)]
    table = probed(Remembered(trials, sites, changes, np.ones(changes.shape[:2])), probe, 0)
    assert table["rate"].iloc[0] == pytest.approx(0.1)
    assert table["rate"].iloc[1] < 0.25
    assert table["rate"].iloc[2] == 1
    assert (table["shuffled"] < 0.25).all()  # 60 trials, five times
    assert (table["chance"] == 0.1).all()
    assert table["n"].tolist() == [10] * 3
    assert (table["low"] < table["rate"]).all()


@pytest.mark.parametrize(
    ("strengths", "wordings"), [((1.0, 2.0), ("a", "b")), ((1.0,), ("a", "b")), ((1.0, 2.0), ("a",))]
)
def test_no_probe_is_tested_on_a_kind_that_it_has_seen(strengths: tuple[float, ...], wordings: tuple[str, ...]) -> None:
    trials, tested = kinds(3, strengths, wordings), np.zeros(3 * len(strengths) * len(wordings))
    for train, test in folds(trials):
        assert set(trials["concept"][train]) == {"c0", "c1", "c2"}
        for name, values in (("strength", strengths), ("wording", wordings)):
            assert len(values) == 1 or not set(trials[name][train]) & set(trials[name][test])
        assert not (train & test).any()
        tested += test
    assert (tested == 1).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_cache_is_changed_behind_the_injected_site_only(name: str) -> None:
    bench = bench_on(FAMILIES[name].make(dtype=torch.float64))
    n_loops, sites = bench.looped.n_loops, bench.looped.sites()
    where = Site(n_loops - 1, 0)
    trials = [bench.trial((where.loop, 0), prompt="closed", strength=strength) for strength in (0.0, 2.0, 5.0)]
    kept = remembered(bench.engine, trials, 8)
    assert kept.changes.shape[:2] == (3, len(sites))
    assert kept.changes[0].max() == kept.changes[0].min() == 0
    until = sites.index(where) + 1
    untouched = 1 if bench.looped.by_token else until  # the span's later tokens see it from their first loop on
    assert kept.shares[:, :untouched].max() == 0
    if bench.looped.by_token:
        assert kept.shares[1:, untouched + 1 :].min() > 0
    if not FAMILIES[name].routed and until < len(sites):
        assert kept.shares[1:, until].min() > 0
        assert (kept.shares[2, until] > 0).all()


def test_what_is_held_are_the_keys_and_values_of_the_span() -> None:
    bench = bench_on(FAMILIES["ouro"].make(dtype=torch.float64))
    trial, values = bench.trial((0, 0), prompt="closed"), list[Tensor]()
    hook = bench.looped.blocks[1].self_attn.v_proj.register_forward_hook(lambda _, __, out: values.append(out.clone()))
    with torch.inference_mode():
        bench.engine.prefix(((trial.template_hash, ()), trial.n_loops, trial.sampling.exit))
        values.clear()
        kept = held(bench.engine, [trial, control_of(trial)])
    hook.remove()
    (site,) = [place for place, site in enumerate(bench.looped.sites()) if site == Site(1, 1)]
    expected = values[1][:, 4:9].mean(1).float()  # second loop; the span of the prompt is 4 to 9
    torch.testing.assert_close(kept[:, site].chunk(2, dim=1)[1], expected)
    assert isinstance(trial, Trial)
