"""The Ouro layout against an independent reference, its loops, exit gate, caches, padding and generation."""

import math

import pytest
import torch
from tiny import tiny_config, tiny_model
from torch import Tensor
from torch.nn.functional import silu, softmax

from introspect.errors import InputError
from introspect.families.ouro.config import OuroConfig

LOOPS = (1, 2, 4, 8)


def reference_states(weights: dict[str, Tensor], config: OuroConfig, ids: Tensor, n_loops: int) -> list[Tensor]:
    """Compute the normed state after each loop from the published description alone (arXiv 2510.25741)."""

    def norm(h: Tensor, name: str) -> Tensor:
        return weights[f"model.{name}.weight"] * h / (h.pow(2).mean(-1, keepdim=True) + config.rms_norm_eps).sqrt()

    def linear(h: Tensor, name: str) -> Tensor:
        return torch.einsum("btd,ed->bte", h, weights[f"model.{name}.weight"])

    def rotate(x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        rotated = torch.empty_like(x)
        for position in range(x.shape[1]):
            for i in range(half):
                angle = position * config.rope_parameters["rope_theta"] ** (-2 * i / x.shape[-1])
                a, b = x[:, position, :, i], x[:, position, :, i + half]
                rotated[:, position, :, i] = a * math.cos(angle) - b * math.sin(angle)
                rotated[:, position, :, i + half] = b * math.cos(angle) + a * math.sin(angle)
        return rotated

    def attention(h: Tensor, name: str) -> Tensor:
        batch, tokens, _ = h.shape
        q, k, v = (
            linear(h, f"{name}.{part}_proj").reshape(batch, tokens, -1, config.head_dim) for part in ("q", "k", "v")
        )
        q, k = rotate(q), rotate(k)
        group = q.shape[2] // k.shape[2]
        heads = []
        for head in range(q.shape[2]):
            scores = torch.einsum("bqd,bkd->bqk", q[:, :, head], k[:, :, head // group]) / config.head_dim**0.5
            scores = scores.masked_fill(torch.ones(tokens, tokens).triu(1).bool(), -torch.inf)
            heads.append(softmax(scores, -1) @ v[:, :, head // group])
        return linear(torch.cat(heads, -1), f"{name}.o_proj")

    def mlp(h: Tensor, name: str) -> Tensor:
        return linear(silu(linear(h, f"{name}.gate_proj")) * linear(h, f"{name}.up_proj"), f"{name}.down_proj")

    h, states = weights["model.embed_tokens.weight"][ids], []
    for _ in range(n_loops):
        for i in range(config.num_hidden_layers):
            block = f"layers.{i}"
            added = attention(norm(h, f"{block}.input_layernorm"), f"{block}.self_attn")
            h = h + norm(added, f"{block}.input_layernorm_2")
            added = mlp(norm(h, f"{block}.post_attention_layernorm"), f"{block}.mlp")
            h = h + norm(added, f"{block}.post_attention_layernorm_2")
        h = norm(h, "norm")
        states.append(h)
    return states


def random_ids(rows: int = 2, tokens: int = 7, seed: int = 0) -> Tensor:
    return torch.randint(3, 256, (rows, tokens), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n_loops", LOOPS)
@torch.no_grad()
def test_states_and_logits_equal_the_plain_reference(n_loops: int, tied: bool) -> None:
    looped = tiny_model(n_loops=4, dtype=torch.float64, rope_theta=500.0, tie_word_embeddings=tied)
    weights, ids = looped.model.state_dict(), random_ids()
    states = reference_states(weights, looped.model.config, ids, n_loops)
    output = looped.model(ids, n_loops=n_loops)
    torch.testing.assert_close(output.loop_states, tuple(states), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(output.logits, states[-1] @ weights["lm_head.weight"].T, rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_logits_are_those_of_the_trained_number_of_loops_when_none_is_given() -> None:
    looped = tiny_model(n_loops=3)
    ids = random_ids()
    assert torch.equal(looped.model(ids).logits, looped.model(ids, n_loops=3).logits)
    assert not torch.equal(looped.model(ids).logits, looped.model(ids, n_loops=2).logits)


def test_no_loops_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="n_loops 0"):
        tiny_model().model(random_ids(), n_loops=0)


@torch.no_grad()
def test_early_exit_stays_off_whatever_the_config_says() -> None:
    looped = tiny_model(early_exit_threshold=1.0)
    looped.model.model.early_exit_gate.bias.fill_(30.0)
    output = looped.model(random_ids())
    assert torch.equal(output.logits, looped.model.lm_head(output.loop_states[-1]))


@pytest.mark.parametrize("n_loops", [1, 4])
@torch.no_grad()
def test_a_token_leaves_at_the_first_loop_whose_exit_probability_adds_up(n_loops: int) -> None:
    looped = tiny_model(dtype=torch.float64)
    ids, left = random_ids(rows=8), set()
    for threshold in (0.0, 0.5, 0.9, 1.0):
        output = looped.model(ids, n_loops=n_loops, exit_threshold=threshold)
        rates = [torch.sigmoid(looped.model.model.early_exit_gate(h))[..., 0] for h in output.loop_states]
        for row in range(ids.shape[0]):
            for position in range(ids.shape[1]):
                staying, total, leaves = 1.0, 0.0, n_loops - 1
                for loop in range(n_loops - 1):
                    total += float(rates[loop][row, position]) * staying
                    staying *= 1 - float(rates[loop][row, position])
                    if total >= threshold:
                        leaves = loop
                        break
                left.add(leaves)
                expected = looped.model.lm_head(output.loop_states[leaves][row, position])
                torch.testing.assert_close(output.logits[row, position], expected, rtol=1e-12, atol=1e-12)
    assert left == set(range(n_loops))


@torch.no_grad()
def test_a_gate_that_is_sure_leaves_at_once_even_at_threshold_one() -> None:
    looped = tiny_model()
    looped.model.model.early_exit_gate.bias.fill_(200.0)
    output = looped.model(random_ids(), exit_threshold=1.0)
    assert torch.equal(output.logits, looped.model.lm_head(output.loop_states[0]))


@pytest.mark.parametrize("n_loops", LOOPS)
@torch.no_grad()
def test_cached_logits_equal_uncached_ones(n_loops: int) -> None:
    looped = tiny_model(n_loops=4)
    ids, cache = random_ids(tokens=9), looped.new_cache()
    whole = looped.model(ids, n_loops=n_loops).logits
    parts = [
        looped.model(part, past_key_values=cache, n_loops=n_loops).logits
        for part in (ids[:, :4], ids[:, 4:7], ids[:, 7:8], ids[:, 8:])
    ]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-4)
    assert len(cache.layers) == n_loops * looped.n_layers


@pytest.mark.parametrize("n_loops", LOOPS)
@torch.no_grad()
def test_rows_padded_on_the_left_equal_the_rows_alone(n_loops: int) -> None:
    looped = tiny_model(n_loops=4, dtype=torch.float64)
    rows = [random_ids(1, tokens, seed=tokens) for tokens in (3, 6, 9)]
    padded = torch.cat([torch.nn.functional.pad(row, (9 - row.shape[1], 0)) for row in rows])
    mask = torch.stack([torch.arange(9) >= 9 - row.shape[1] for row in rows]).long()
    together = looped.model(padded, attention_mask=mask, n_loops=n_loops).logits
    for i, row in enumerate(rows):
        alone = looped.model(row, n_loops=n_loops).logits[0]
        torch.testing.assert_close(together[i, -row.shape[1] :], alone, rtol=1e-10, atol=1e-10)


def test_a_mask_that_leaves_the_cached_tokens_out_is_refused() -> None:
    looped, cache = tiny_model(), tiny_model().new_cache()
    looped.model(random_ids(), past_key_values=cache)
    with pytest.raises(ValueError, match=r"attention_mask \(2, 1\)"):
        looped.model(random_ids(tokens=1), past_key_values=cache, attention_mask=torch.ones(2, 1))


@pytest.mark.parametrize("n_loops", LOOPS)
def test_generate_gives_the_same_tokens_cached_uncached_and_padded(n_loops: int) -> None:
    looped = tiny_model(n_loops=4, dtype=torch.float64)
    short, long = random_ids(1, 4), random_ids(1, 7)
    settings = {"max_new_tokens": 6, "do_sample": False, "n_loops": n_loops}
    cached = [looped.model.generate(ids, **settings)[0, ids.shape[1] :] for ids in (short, long)]
    for ids, tokens in zip((short, long), cached, strict=True):
        assert torch.equal(looped.model.generate(ids, use_cache=False, **settings)[0, ids.shape[1] :], tokens)
    batch = torch.cat([torch.nn.functional.pad(short, (3, 0)), long])
    mask = torch.tensor([[0] * 3 + [1] * 4, [1] * 7])
    together = looped.model.generate(batch, attention_mask=mask, **settings)[:, 7:]
    assert torch.equal(together, torch.stack(cached))


@torch.no_grad()
def test_sdpa_equals_eager_attention_also_with_padding_and_a_cache() -> None:
    looped = tiny_model(dtype=torch.float64)
    ids, mask = random_ids(), torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1] * 7])
    logits = []
    for attention in ("sdpa", "eager"):
        looped.model.set_attn_implementation(attention)
        cache = looped.new_cache()
        looped.model(ids[:, :4], attention_mask=mask[:, :4], past_key_values=cache)
        tail = looped.model(ids[:, 4:], attention_mask=mask, past_key_values=cache).logits
        logits.append(torch.cat([looped.model(ids, attention_mask=mask).logits[:, 2:], tail], 1))
    torch.testing.assert_close(*logits, rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_half_precision_computes_norms_in_float32() -> None:
    norm = tiny_model(dtype=torch.bfloat16).model.model.norm
    h = torch.randn(3, 32, generator=torch.Generator().manual_seed(0)).bfloat16() * 100
    exact = h.double() / h.double().pow(2).mean(-1, keepdim=True).add(norm.eps).sqrt()
    assert torch.equal(norm(h), norm.weight * exact.bfloat16())


@torch.no_grad()
def test_the_loss_is_that_of_the_last_loop() -> None:
    looped, ids = tiny_model(), random_ids()
    output = looped.model(ids, labels=ids)
    expected = torch.nn.functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    torch.testing.assert_close(output.loss, expected)


def test_published_configs_get_ids_that_end_a_chat() -> None:
    config = tiny_config(bos_token_id=0, eos_token_id=0, pad_token_id=0, early_exit_threshold=1.0, rope_scaling=None)
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 0)


def test_other_ids_are_left_alone() -> None:
    config = tiny_config(bos_token_id=5, eos_token_id=0, pad_token_id=0)
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (5, 0, 0)


def test_rope_theta_is_read_in_the_old_and_in_the_new_spelling() -> None:
    new = {"rope_type": "default", "rope_theta": 500.0}
    assert tiny_config(rope_theta=500.0).rope_parameters == tiny_config(rope_parameters=new).rope_parameters == new


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "rope type 'yarn'"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1.0, "factor": 2.0}}, "rope type 'linear'"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"total_ut_steps": 0}, "total_ut_steps 0"),
        ({"num_attention_heads": 3, "num_key_value_heads": 2}, "no multiple"),
    ],
)
def test_configs_that_the_layout_cannot_compute_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny_config(**fields)
