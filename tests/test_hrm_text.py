"""The HRM-Text layout against transformers' own class: passes, caches, padding, prompts that attend both ways."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny import save_tiny
from tiny_hrm_text import tiny_hrm_text
from torch import Tensor
from transformers.models.hrm_text import HrmTextForCausalLM
from transformers.models.hrm_text.modeling_hrm_text import HrmTextRMSNorm, HrmTextRotaryEmbedding

from introspect.errors import InputError
from introspect.families.hrm_text.adapter import HrmLooped
from introspect.families.loading import load_model, peek
from introspect.families.registry import FAMILIES
from introspect.injection.prefix.prefix import inputs
from introspect.models.looped_model import SiteError
from introspect.models.row_cache import RowCache
from introspect.models.tap import Tap
from introspect.records.trial import Site

EXACT = {"rtol": 1e-10, "atol": 1e-10}
SHAPES: tuple[dict[str, object], ...] = (
    {},
    {"H_cycles": 1, "L_cycles": 2, "attention_bias": True, "mlp_bias": True},
    {"H_cycles": 3, "L_cycles": 1, "tie_word_embeddings": True, "rope_theta": 500.0},
)


def random_ids(rows: int = 2, tokens: int = 9, seed: int = 0) -> Tensor:
    return torch.randint(3, 256, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def published(looped: HrmLooped, monkeypatch: pytest.MonkeyPatch) -> HrmTextForCausalLM:
    """Return the same weights in transformers' own class, its norms and angles computed in float64."""
    monkeypatch.setattr(HrmTextRMSNorm, "forward", lambda norm, x: norm._norm(x))
    monkeypatch.setattr(HrmTextRotaryEmbedding, "forward", exact_angles)
    model = HrmTextForCausalLM(copy.deepcopy(looped.model.config)).to(looped.dtype).eval()
    model.load_state_dict(looped.model.state_dict())
    model.set_attn_implementation("sdpa")
    return model


def outputs(plain: HrmTextForCausalLM, ids: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return what each block of transformers puts out, as they run, and the logits."""
    given: list[Tensor] = []
    blocks = [*plain.model.L_module.layers, *plain.model.H_module.layers]
    handles = [block.register_forward_hook(lambda _, __, h: given.append(h)) for block in blocks]
    logits = plain(ids, use_cache=False).logits
    for handle in handles:
        handle.remove()
    return given, logits


def exact_angles(rotary: HrmTextRotaryEmbedding, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
    theta, size = rotary.config.rope_parameters["rope_theta"], rotary.config.head_dim
    steps = [theta ** (-2 * (i % (size // 2)) / size) for i in range(size)]
    angles = position_ids[..., None] * torch.tensor(steps, dtype=x.dtype)
    return angles.cos(), angles.sin()


@pytest.mark.parametrize("fields", SHAPES)
@torch.no_grad()
def test_blocks_and_logits_equal_those_of_transformers(
    fields: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    looped, ids = tiny_hrm_text(dtype=torch.float64, **fields), random_ids()
    plain, cycle = published(looped, monkeypatch), looped.model.config.L_cycles + 1
    for n_cycles in (1, looped.model.config.H_cycles, 4):
        plain.config.H_cycles = n_cycles
        expected, logits = outputs(plain, ids)
        states = visited(looped, ids, n_cycles * cycle)
        assert list(states) == looped.sites(n_cycles * cycle)
        for state, other in zip(states.values(), expected, strict=True):
            torch.testing.assert_close(state, other, **EXACT)
        torch.testing.assert_close(looped.model(ids, n_loops=n_cycles * cycle).logits, logits, **EXACT)


@torch.no_grad()
def test_a_prompt_attends_both_ways_where_its_types_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    looped, ids = tiny_hrm_text(dtype=torch.float64), random_ids()
    plain = published(looped, monkeypatch)
    types = torch.tensor([[1] * 6 + [0] * 3, [0, 0] + [1] * 5 + [0] * 2])
    mask = torch.tensor([[1] * 9, [0, 0] + [1] * 7])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    expected = plain(ids, attention_mask=mask, position_ids=positions, token_type_ids=types, use_cache=False).logits
    for attention in ("sdpa", "eager"):
        looped.model.set_attn_implementation(attention)
        both = looped.model(ids, attention_mask=mask, token_type_ids=types).logits
        for row, start in ((0, 0), (1, 2)):
            torch.testing.assert_close(both[row, start:], expected[row, start:], **EXACT)
    prompt, cache = ids[:1, :6], looped.new_cache()
    first = looped.model(prompt, past_key_values=cache, **looped.prompt_arguments(torch.ones_like(prompt))).logits
    later = looped.model(ids[:1, 6:], past_key_values=cache).logits
    torch.testing.assert_close(torch.cat((first, later), 1)[0], expected[0], **EXACT)
    assert not torch.allclose(first, looped.model(prompt).logits)
    causal = tiny_hrm_text(prefix_lm=False)
    assert causal.prompt_arguments(torch.ones_like(prompt)) == {}
    assert torch.equal(causal.model(prompt, token_type_ids=types[:1, :6]).logits, causal.model(prompt).logits)


@pytest.mark.parametrize("n_loops", [4, 8, 12])
@torch.no_grad()
def test_cached_pieces_and_rows_padded_on_the_left_equal_the_whole_text(n_loops: int) -> None:
    looped, ids = tiny_hrm_text(dtype=torch.float64), random_ids()
    whole, cache = looped.model(ids, n_loops=n_loops).logits, looped.new_cache()
    parts = (ids[:, :4], ids[:, 4:8], ids[:, 8:])
    pieces = [looped.model(part, past_key_values=cache, n_loops=n_loops).logits for part in parts]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, **EXACT)
    assert (len(cache.layers), *cache.layers[0].keys.shape[1::2]) == looped.cache_shape(n_loops)
    padded = torch.cat((torch.zeros(2, 3, dtype=torch.long), ids), 1)
    mask = torch.tensor([[0] * 3 + [1] * 9, [1] * 12])
    alone = looped.model(padded, attention_mask=mask, n_loops=n_loops).logits[0, 3:]
    torch.testing.assert_close(alone, whole[0], **EXACT)


@torch.no_grad()
def test_rows_that_share_a_beginning_attend_causally_and_refuse_more() -> None:
    looped, ids = tiny_hrm_text(dtype=torch.float64), random_ids(1)
    tap, begun = Tap(looped), looped.new_cache()
    looped.model(ids[:, :3], past_key_values=begun)
    cache = RowCache(
        *(torch.cat([getattr(layer, part) for layer in begun.layers]) for part in ("keys", "values")), 1, 6
    )
    cache.aim(0, [0], 6)
    arguments = inputs(tap, ids[:, 3:].tolist(), [3], cache)
    torch.testing.assert_close(looped.model(**arguments).logits[:, -1], looped.model(ids).logits[:, -1], **EXACT)
    with pytest.raises(ValueError, match="token_type_ids: rows that share a beginning"):
        looped.model(**arguments, **looped.prompt_arguments(torch.ones_like(arguments["input_ids"])))


@torch.no_grad()
def test_the_readout_behind_a_high_pass_is_what_a_model_of_so_many_passes_says() -> None:
    looped, ids = tiny_hrm_text(), random_ids()
    states = visited(looped, ids, 12)
    for passes in (4, 8, 12):
        assert torch.equal(looped.readout(states[Site(passes - 1, 1)]), looped.model(ids, n_loops=passes).logits)
    output = looped.model(ids)
    assert torch.equal(looped.readout(states[Site(1, 1)]), looped.model.lm_head(output.loop_states[1]))


@torch.no_grad()
def test_an_addition_reaches_what_follows_and_nothing_before() -> None:
    looped, ids = tiny_hrm_text(), random_ids()
    clean, sites = visited(looped, ids, 8), looped.sites(8)
    for place, site in enumerate(sites):
        changed = visited(looped, ids, 8, at=site)
        for other in sites:
            assert torch.equal(clean[other][:, :4], changed[other][:, :4])
            moved = not torch.equal(clean[other][:, 4:], changed[other][:, 4:])
            assert moved == (other in sites[place:])


def visited(looped: HrmLooped, ids: Tensor, n_loops: int, at: Site | None = None) -> dict[Site, Tensor]:
    """Return the live output of every site, one of them pushed."""
    states: dict[Site, Tensor] = {}

    def visit(h: Tensor, site: Site) -> None:
        if site == at:
            h[:, 4] += torch.arange(32)
        states[site] = h.clone()

    visits = {site: (lambda h, site=site: visit(h, site)) for site in looped.sites(n_loops)}
    Tap(looped).run(visits, n_loops=n_loops, input_ids=ids)
    return states


def test_passes_have_names_and_blocks_of_their_stack() -> None:
    looped = tiny_hrm_text()
    assert looped.pass_names(8) == ["L0.0", "L0.1", "L0.2", "H0", "L1.0", "L1.1", "L1.2", "H1"]
    assert looped.locate(Site(5, 1), 8) == (looped.blocks[1], 4)
    assert looped.locate(Site(7, 1), 8) == (looped.blocks[3], 1)
    assert looped.resume_arguments(Site(7, 1), {}) is None
    with pytest.raises(SiteError, match="site 8:0"):
        looped.locate(Site(8, 0), 8)


@pytest.mark.parametrize("n_loops", [0, 3, 6])
def test_passes_that_end_within_a_cycle_are_refused(n_loops: int) -> None:
    with pytest.raises(InputError, match=f"loops run: {n_loops}; .* must be a multiple of 4"):
        tiny_hrm_text().forward_arguments(n_loops)
    if n_loops:
        with pytest.raises(InputError, match="must be a multiple of 4"):
            tiny_hrm_text().model(random_ids(), n_loops=n_loops)


@pytest.mark.parametrize("tied", [False, True])
@torch.no_grad()
def test_a_checkpoint_of_transformers_loads_and_is_saved_the_same(
    tied: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, "hrm_text", HrmLooped)
    looped, ids = tiny_hrm_text(tie_word_embeddings=tied), random_ids()
    folder = save_tiny(looped, tmp_path / "model")
    published(looped, monkeypatch).save_pretrained(tmp_path / "theirs")
    looped.tokenizer.save_pretrained(tmp_path / "theirs")
    for path in (folder, tmp_path / "theirs"):
        loaded = load_model(str(path), device="cpu")
        assert torch.equal(loaded.model(ids).logits, looped.model(ids).logits)
        assert loaded.weights_hash == looped.weights_hash
        outline = peek(str(path))
        assert (outline.n_loops, outline.layers["core"]) == (loaded.n_loops, loaded.n_layers) == (8, 2)
    half = load_model(str(folder), device="cpu", dtype="bfloat16")
    assert half.model(ids).logits.isfinite().all()
    settings = {"max_new_tokens": 3, "do_sample": False, "n_loops": 12}
    cached = looped.model.generate(ids, **settings)
    assert torch.equal(cached, looped.model.generate(ids, use_cache=False, **settings))


@torch.no_grad()
def test_the_fused_weights_of_the_first_checkpoint_are_taken_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, "hrm_text", HrmLooped)
    looped = tiny_hrm_text()
    folder = save_tiny(looped, tmp_path / "model")
    weights, fused = looped.model.state_dict(), {}
    for name, weight in weights.items():
        stem, _, part = name.rpartition("self_attn.")
        if part == "gate_proj.weight":
            parts = [weights[f"{stem}self_attn.{i}_proj.weight"] for i in ("gate", "q", "k", "v")]
            fused[f"{stem}attn.gqkv_proj.weight"] = torch.cat(parts)
        elif part == "o_proj.weight" and stem:
            fused[f"{stem}attn.o_proj.weight"] = weight
        elif "mlp.gate_proj" in name:
            fused[name.replace("gate", "gate_up")] = torch.cat((weight, weights[name.replace("gate", "up")]))
        elif not stem and "mlp.up_proj" not in name:
            fused[name] = weight
    save_file(fused, folder / "model.safetensors", {"format": "pt"})
    assert load_model(str(folder), device="cpu").weights_hash == looped.weights_hash


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1.0, "factor": 2.0}}, "rope type 'linear'"),
        ({"L_cycles": 0}, "L_cycles 0"),
        ({"H_cycles": 0}, "H_cycles 0"),
        ({"num_hidden_layers": 0}, "num_layers_per_stack 0"),
    ],
)
def test_configs_that_the_layout_cannot_compute_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny_hrm_text(**fields)
