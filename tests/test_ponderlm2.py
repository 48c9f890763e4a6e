"""PonderLM-2: equal to a plain reference, token by token; with one loop GPT-NeoX; the published passes come near it."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from injected import SPANS, bench_on, responses
from neox_reference import stack_of
from oracle import hooked
from tiny import save_tiny
from tiny_feedforward import tiny_feedforward
from tiny_ponderlm2 import tiny_ponderlm2, tiny_ponderlm2_config
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
from typer.testing import CliRunner

from introspect.cli import app
from introspect.errors import InputError
from introspect.families.feedforward.model import FeedForwardLooped
from introspect.families.loading import load_model, peek
from introspect.families.ponderlm2.config import PonderLm2Config
from introspect.families.ponderlm2.model import PonderLm2Looped
from introspect.families.registry import family_of
from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Tap
from introspect.records.trial import Site

HEAD = {"embed_out.weight": "lm_head.weight"}
"""What transformers 5 calls the head; files have the old name."""
IDS = torch.tensor([[5, 17, 40, 8, 99, 3, 61]])
ROUNDING = 1e-10
"""Of float64."""
VARIANTS = (
    {},
    {"scale_embeds": True},
    {"interpolation": True, "scale_embeds": True},
    {"interpolation": True, "interpolation_use_topk": True, "interpolation_topk": 5},
    {"use_parallel_residual": False},
)


def thought(w: dict[str, Tensor], config: PonderLm2Config, state: Tensor) -> Tensor:
    """Say what the next stage begins with."""
    if not config.interpolation:
        return state
    logits = state @ w["embed_out.weight"].T
    if config.interpolation_use_topk:
        least = logits.sort(-1, descending=True).values[..., config.interpolation_topk - 1 : config.interpolation_topk]
        logits = logits.masked_fill(logits < least, float("-inf"))
    return logits.softmax(-1) @ embeddings(w, config)


def embeddings(w: dict[str, Tensor], config: PonderLm2Config) -> Tensor:
    times = config.hidden_size * (1.0 if config.interpolation else 2.5)
    return w["gpt_neox.embed_in.weight"] * (times**0.5 if config.scale_embeds else 1.0)


def reference(
    w: dict[str, Tensor],
    config: PonderLm2Config,
    ids: Tensor,
    n_loops: int,
    added: dict[tuple[int, int, int], Tensor] | None = None,
) -> Tensor:
    """Compute the normed states of one text, `(loop, position, d_model)`: the whole text anew for every stage.

    `added` is what is added behind a (loop, layer) at a position.
    """
    table, columns, states = embeddings(w, config), list[Tensor](), []
    for token in ids[0]:
        for loop in range(n_loops):
            columns.append(thought(w, config, states[-1]) if loop else table[token])
            at = [column // n_loops for column in range(len(columns))]

            def changed(layer: int, h: Tensor) -> Tensor:
                for (of_loop, of_layer, position), vector in (added or {}).items():
                    column = position * n_loops + of_loop
                    if of_layer == layer and column < h.shape[1]:
                        h = h.clone()
                        h[0, column] += vector
                return h

            states.append(stack_of(w, config, at)(torch.stack(columns)[None], changed)[0, -1])
    return torch.stack(states).unflatten(0, (-1, n_loops)).transpose(0, 1)


def published(w: dict[str, Tensor], config: PonderLm2Config, ids: Tensor, n_loops: int, passes: int) -> Tensor:
    """Compute the logits as the published forward does: growing passes, Jacobi passes, and one that is read."""
    stages = [embeddings(w, config)[ids]]

    def run() -> list[Tensor]:
        k = len(stages)
        positions = [column // k for column in range(k * ids.shape[1])]
        states = stack_of(w, config, positions)(torch.stack(stages, dim=2).flatten(1, 2))
        return list(states.unflatten(1, (-1, k)).unbind(2))

    for _ in range(n_loops - 1):
        stages.append(thought(w, config, run()[-1]))
    for _ in range(passes):
        stages = [stages[0], *(thought(w, config, state) for state in run()[:-1])]
    return run()[-1] @ w["embed_out.weight"].T


def logits_of(looped: LoopedModel, n_loops: int, ids: Tensor = IDS, **more: object) -> Tensor:
    with torch.no_grad():
        return looped.model(ids, **looped.forward_arguments(n_loops), **more).logits


@pytest.mark.parametrize("fields", VARIANTS)
@torch.no_grad()
def test_it_computes_each_stage_of_each_token_after_all_that_stands_before(fields: dict[str, object]) -> None:
    looped = tiny_ponderlm2(dtype=torch.float64, **fields)
    w, config = looped.model.state_dict(), looped.model.config
    for n_loops in (1, 2, 3, 4):
        output = looped.model(IDS, **looped.forward_arguments(n_loops))
        expected = reference(w, config, IDS, n_loops)
        assert (output.logits[0] - expected[-1] @ w["embed_out.weight"].T).abs().max() < ROUNDING
        for loop in range(n_loops):
            assert (output.loop_states[loop][0] - expected[loop]).abs().max() < ROUNDING


@torch.no_grad()
def test_with_one_loop_it_is_gpt_neox() -> None:
    looped = tiny_ponderlm2(dtype=torch.float64)
    plain = GPTNeoXForCausalLM(GPTNeoXConfig.from_dict(looped.model.config.to_dict())).double().eval()
    plain.load_state_dict({HEAD.get(name, name): weight for name, weight in looped.model.state_dict().items()})
    assert (logits_of(looped, 1) - plain(IDS).logits).abs().max() < 1e-6, "its angles are in float32"


def test_each_loop_matters() -> None:
    looped = tiny_ponderlm2()
    assert all((one - two).abs().max() > 1e-2 for one, two in pairwise(logits_of(looped, n) for n in (1, 2, 3, 4)))


@pytest.mark.parametrize("n_loops", [1, 2, 3, 4])
def test_padding_on_the_left_moves_nothing(n_loops: int) -> None:
    looped = tiny_ponderlm2(dtype=torch.float64)
    ids = torch.cat([torch.zeros(1, 3, dtype=torch.long), IDS], dim=1)
    mask = (torch.arange(10) >= 3).long()[None]
    found = logits_of(looped, n_loops, ids, attention_mask=mask)
    assert (found[:, 3:] - logits_of(looped, n_loops)).abs().max() < ROUNDING


@pytest.mark.parametrize("n_loops", [1, 2, 3])
@torch.no_grad()
def test_padded_texts_go_on_from_a_cache_as_if_run_at_once(n_loops: int) -> None:
    looped, cache = tiny_ponderlm2(dtype=torch.float64), tiny_ponderlm2().new_cache()
    ids = torch.cat([torch.zeros(1, 3, dtype=torch.long), IDS], dim=1).repeat(2, 1)
    mask = torch.stack([torch.arange(10) >= 3, torch.arange(10) >= 0]).long()
    whole = logits_of(looped, n_loops, ids, attention_mask=mask, use_cache=False)
    parts = [
        logits_of(looped, n_loops, ids[:, a:b], attention_mask=mask[:, :b], past_key_values=cache, use_cache=True)
        for a, b in ((0, 5), (5, 9), (9, 10))
    ]
    assert (torch.cat(parts, 1) - whole)[mask.bool()].abs().max() < ROUNDING
    with pytest.raises(InputError, match="the cache was filled by a forward"):
        logits_of(looped, n_loops + 1, past_key_values=cache, use_cache=True)


@torch.no_grad()
def test_an_injection_is_what_the_reference_computes_with_it_at_any_loop_and_layer() -> None:
    looped, position = tiny_ponderlm2(dtype=torch.float64), 2
    w, config = looped.model.state_dict(), looped.model.config
    vector = torch.linspace(-1, 1, config.hidden_size, dtype=torch.float64)
    for site in looped.sites():

        def add(h: Tensor) -> None:
            h[:, position] += vector

        found = Tap(looped).run({site: add}, input_ids=IDS).logits[0]
        expected = reference(w, config, IDS, looped.n_loops, {(site.loop, site.layer, position): vector})
        assert (found - expected[-1] @ w["embed_out.weight"].T).abs().max() < ROUNDING, site


@torch.no_grad()
def test_an_injection_reaches_the_first_loop_of_the_next_token_unless_nothing_reads_it_there() -> None:
    looped = tiny_ponderlm2(dtype=torch.float64)
    last = Site(looped.n_loops - 1, looped.n_layers - 1)
    vector = torch.linspace(-1, 1, looped.d_model, dtype=torch.float64)

    def states(at: Site | None) -> dict[Site, Tensor]:
        seen: dict[Site, Tensor] = {}

        def visit(site: Site, h: Tensor) -> None:
            if site == at:
                h[:, 2] += vector
            seen[site] = h.clone()

        Tap(looped).run({s: lambda h, s=s: visit(s, h) for s in looped.sites()}, input_ids=IDS)
        return seen

    clean = states(None)
    for at in looped.sites():
        for site, h in states(at).items():
            assert torch.equal(h[:, :2], clean[site][:, :2]), (at, site)
            assert torch.equal(h[:, 2], clean[site][:, 2]) == (site < at), (at, site)
            unread = at == last or (at.loop == last.loop and site.loop == 0 and site.layer <= at.layer)
            assert torch.equal(h[:, 3], clean[site][:, 3]) == unread, (at, site)


@torch.no_grad()
def test_every_site_is_visited_once_a_token_and_shown_what_has_come_so_far() -> None:
    looped, shown = tiny_ponderlm2(), list[tuple[Site, int]]()

    def look(site: Site, h: Tensor) -> None:
        assert h.shape == (1, 7, looped.d_model)
        shown.append((site, int((h != 0).any(-1).sum())))

    tap = Tap(looped)
    tap.run({site: lambda h, site=site: look(site, h) for site in looped.sites()}, input_ids=IDS)
    assert shown == [(site, token + 1) for token in range(7) for site in looped.sites()]
    assert (tap.work, tap.calls) == (7 * 6, 7 * 6)


APART = {1: {0: 0.5, 1: 0.05, 3: 2e-3}, 2: {0: 0.3, 1: 0.3, 3: 0.05}}
"""What the distance of the published prompt forward, over the largest logit, exceeds: by thoughts and Jacobi passes."""


@pytest.mark.parametrize("thoughts", [1, 2])
@torch.no_grad()
def test_the_published_passes_over_a_prompt_come_near_and_are_equal_with_one_a_thought(thoughts: int) -> None:
    looped = tiny_ponderlm2(dtype=torch.float64, num_latent_thoughts=thoughts)
    w, config, n_loops = looped.model.state_dict(), looped.model.config, thoughts + 1
    exact = logits_of(looped, n_loops)
    enough = published(w, config, IDS, n_loops, passes=thoughts * IDS.shape[1])
    assert (enough - exact).abs().max() < ROUNDING
    apart = {
        passes: float((published(w, config, IDS, n_loops, passes) - exact).abs().max() / exact.abs().max())
        for passes in APART[thoughts]
    }
    assert all(apart[passes] > least for passes, least in APART[thoughts].items())
    assert apart[0] > apart[1] > apart[3], apart


PUBLISHED = {
    **{"model_type": "gpt_neox", "hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096},
    **{"num_hidden_layers": 24, "vocab_size": 50304, "layer_norm_eps": 1e-5, "rotary_pct": 0.25},
    **{"rotary_emb_base": 10000, "use_parallel_residual": True, "tie_word_embeddings": False},
    **{"num_latent_thoughts": 3, "num_jacobi_iterations": 3, "random_jacobi_iterations": True},
    **{"interpolation": False, "interpolation_use_topk": False, "scale_embeds": True, "recurrent_model": True},
}


def test_a_published_config_is_told_from_gpt_neox_and_read_as_it_stands() -> None:
    assert family_of(PUBLISHED, name="x") is PonderLm2Looped
    config = PonderLm2Looped.config_of(dict(PUBLISHED))
    assert (PonderLm2Looped.counts(config), config.rotary_size) == ((4, 24), 16)
    assert config.scale == pytest.approx(2560**0.5)
    assert PonderLm2Looped.config_of(PUBLISHED | {"interpolation": True}).scale == pytest.approx(32)
    assert PonderLm2Looped.config_of(PUBLISHED | {"scale_embeds": False}).scale == 1


def test_a_folder_with_the_published_fields_is_loaded_and_one_without_thoughts_is_gpt_neox(tmp_path: Path) -> None:
    folder = save_tiny(tiny_ponderlm2(), tmp_path / "two")
    file = folder / "config.json"
    extra = {name: PUBLISHED[name] for name in ("num_jacobi_iterations", "random_jacobi_iterations", "recurrent_model")}
    file.write_text(json.dumps(json.loads(file.read_text()) | extra))
    assert isinstance(load_model(str(folder), device="cpu"), PonderLm2Looped)
    plain = save_tiny(tiny_feedforward("gpt_neox"), tmp_path / "none")
    none = {"num_latent_thoughts": 0, "interpolation": True, "scale_embeds": True} | extra
    (plain / "config.json").write_text(json.dumps(json.loads((plain / "config.json").read_text()) | none))
    assert peek(str(plain)).n_loops == 1
    assert isinstance(load_model(str(plain), device="cpu"), FeedForwardLooped)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_latent_thoughts": -1}, "num_latent_thoughts -1: must be 0 or more"),
        ({"interpolation_topk": 0}, "interpolation_topk 0: must be at least 1"),
        ({"num_attention_heads": 5}, "hidden_size 32 is no multiple of num_attention_heads 5"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "rope type 'linear'"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        tiny_ponderlm2_config(**fields)


def test_the_norms_of_a_trial_are_those_at_its_sites_however_many_tokens_ran() -> None:
    on = bench_on(tiny_ponderlm2(dtype=torch.float64))
    trial = on.trial((0, 1), (2, 0), prompt="closed")
    (response,) = responses(on.engine.run([trial]))
    states: dict[Site, Tensor] = {}
    ids, (start, stop) = torch.tensor([on.prompts["closed", ()].token_ids]), SPANS["closed"][0]
    adding = on.engine.injector([trial]).visits([0], slice(start, stop))

    def look(site: Site, h: Tensor) -> None:
        states[site] = h.clone()
        if site in adding:
            adding[site](h)

    with hooked(on.looped, {s: lambda h, s=s: look(s, h) for s in on.looped.sites()}), torch.no_grad():
        on.looped.model(ids, **on.looped.forward_arguments(on.looped.n_loops))
    pushes = on.engine.pushes(trial)
    assert response.vector_norm == pytest.approx(sum(push.norm().item() for push in pushes.values()) / 2)
    norms = [states[site][0, start:stop].norm(dim=-1).mean().item() for site in pushes]
    assert response.residual_norm == pytest.approx(sum(norms) / 2)


def test_dynamics_is_refused_in_one_line_before_the_weights_are_read(tmp_path: Path) -> None:
    folder = save_tiny(tiny_ponderlm2(), tmp_path)
    (folder / "model.safetensors").write_bytes(b"nothing that could be loaded")
    ran = CliRunner().invoke(app, ["dynamics", str(folder), "--out", str(tmp_path / "out")])
    assert (ran.exit_code, ran.stderr.count("\n")) == (2, 1)
    assert "runs a token through all its loops before the next one" in ran.stderr
