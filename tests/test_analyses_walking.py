"""A walk shows every state as it is, injection included; watching the attention changes no bit of the forward."""

from pathlib import Path

import pytest
import torch
from families import FAMILIES
from swept import options, run_without_figures, save_quietly
from tiny import tiny_model
from torch import Tensor

from introspect.analyses.analysis import Analysed, Analysis, analyses_of
from introspect.analyses.subject import Subject, open_subject
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.injection.engine.recording import record_residual
from introspect.injection.engine.uncached_forward import Rows, alike, batches, rows_of, walk, walk_trials
from introspect.models.attention_weights import watched
from introspect.models.tap import Tap
from introspect.records.response import Response
from introspect.records.trial import ARMS, Site

OPTIONS = Options(concepts="snow,bread,river", questions="detect", layers="0,2", loops="0,3", strengths="2")
TEXTS = ["Tell me about bread.", "Snow is white, and it is cold.", "Two words"]


@pytest.fixture(scope="module")
def subject() -> Subject:
    return open_subject(OPTIONS)


def test_walked_trials_have_the_states_that_a_trial_alone_has(subject: Subject) -> None:
    trials = subject.trials(["injected", "none"])
    (batch,) = alike(trials, 100)
    states: dict[Site, Tensor] = {}
    walk_trials(subject.engine, batch, lambda site, h: states.update({site: h.clone()}))
    for row in (0, 5, len(batch) - 1):
        (response,) = subject.engine.run([batch[row]])
        assert isinstance(response, Response)
        alone = record_residual(subject.engine, batch[row], response)
        length = states[Site(0, 0)].shape[1]
        for site, h in states.items():
            torch.testing.assert_close(h[row], alone[site.loop, site.layer, :length], atol=1e-3, rtol=1e-3)


def test_a_walk_in_a_padded_batch_shows_what_a_walk_alone_shows(subject: Subject) -> None:
    tap, seen, alone = subject.tap, dict[Site, Tensor](), dict[Site, Tensor]()
    (rows,) = batches(tap.looped, TEXTS, size=3, most_tokens=50)
    walk(tap, rows, lambda site, h: seen.update({site: h.clone()}), n_loops=2)
    for row in range(len(TEXTS)):
        there = rows.mask[row].bool()
        walk(
            tap,
            rows_of(tap.looped, [rows.ids[row, there].tolist()]),
            lambda s, h: alone.update({s: h.clone()}),
            n_loops=2,
        )
        for site, h in alone.items():
            torch.testing.assert_close(seen[site][row, there], h[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_watching_the_attention_changes_nothing_and_shows_weights_that_sum_to_one(name: str) -> None:
    looped = FAMILIES[name].make(dtype=torch.float32)
    tap, n_loops = Tap(looped), FAMILIES[name].loops[0]
    (rows,) = batches(looped, TEXTS, size=3, most_tokens=50)
    shown: list[tuple[Site, Tensor]] = []
    plain = walk(tap, rows, lambda *_: None, n_loops=n_loops)
    with watched(looped, looped.sites(n_loops), lambda site, weights: shown.append((site, weights.clone()))):
        seen = walk(tap, rows, lambda *_: None, n_loops=n_loops)
    assert torch.equal(seen, plain)
    assert torch.equal(walk(tap, rows, lambda *_: None, n_loops=n_loops), plain)
    tokens = rows.ids.shape[1] if looped.by_token else 1
    assert [site for site, _ in shown] == looped.sites(n_loops) * tokens
    for _, weights in shown[-len(looped.sites(n_loops)) :]:
        there = weights[:, :, -1].unflatten(-1, (-1, rows.mask.shape[1]))  # a CoTFormer sees its earlier repeats too
        torch.testing.assert_close(there.sum((-1, -2)), torch.ones_like(there[..., 0, 0]), atol=1e-5, rtol=0)
        assert (there * (1 - rows.mask[:, None, None])).abs().max() == 0, "a padded token is seen"


def test_watched_weights_times_values_are_what_the_kernel_gives() -> None:
    looped = FAMILIES["ouro"].make(dtype=torch.float32)
    rows = Rows(torch.tensor([[5, 6, 7, 8]]), torch.ones(1, 4, dtype=torch.long))
    attention = looped.blocks[0].self_attn
    kept: dict[str, Tensor] = {}
    hooks = [
        attention.v_proj.register_forward_hook(lambda _, __, out: kept.setdefault("v", out)),
        attention.o_proj.register_forward_pre_hook(lambda _, args: kept.setdefault("out", args[0])),
    ]
    with watched(looped, looped.sites(1), lambda site, weights: kept.setdefault(str(site), weights)):
        walk(Tap(looped), rows, lambda *_: None, n_loops=1)
    for hook in hooks:
        hook.remove()
    heads = kept["0:0"].shape[1]
    values = kept["v"].unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
    values = values.repeat_interleave(heads // values.shape[1], dim=1)
    torch.testing.assert_close((kept["0:0"] @ values).transpose(1, 2).flatten(2), kept["out"])


def test_a_text_of_one_token_is_refused(subject: Subject) -> None:
    with pytest.raises(InputError, match="1 tokens; a text needs at least 2"):
        list(batches(subject.tap.looped, ["a"], size=2, most_tokens=9))


@pytest.mark.slow
def test_the_trials_of_a_subject_are_those_of_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_without_figures(
        Options(concepts="snow,bread", questions="detect", layers="0", loops="0", strengths="1,2", out=run)
    )
    opened = open_subject(Options(), run)
    assert opened.run is not None
    assert {trial.id for trial in opened.trials(ARMS)} == set(opened.run.trials["trial"])


def test_an_analysis_is_read_as_it_was_written(tmp_path: Path, subject: Subject) -> None:
    import pandas as pd

    table = pd.DataFrame({"loop": [0, 1], "rate": [0.5, None]})
    made = Analysis("dynamics", "What settles", subject.made_with, ("It does.",), {"rates": ("Rates", table)})
    made.write(tmp_path / "analyses" / "dynamics")
    (found,) = analyses_of(tmp_path)
    pd.testing.assert_frame_equal(found.table("rates"), table)
    assert found.said["sentences"] == ["It does."]
    with pytest.raises(InputError, match="holds no analysis"):
        Analysed.open(tmp_path)


def test_a_run_whose_model_is_another_by_now_is_refused_by_its_name(tmp_path: Path) -> None:
    model = save_quietly(tiny_model(), tmp_path / "model")
    run = run_without_figures(options(model, tmp_path / "run"))
    save_quietly(tiny_model(seed=5), model)
    with pytest.raises(InputError, match=f"model '{model}' has weights .*; the run was made with"):
        open_subject(Options(), run)
