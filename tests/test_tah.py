"""Think-at-Hard: equal to a plain reference that runs each token by itself; the decider's word counts."""

import pytest
import torch
from tiny_tah import tiny_tah, tiny_tah_config
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, silu

from introspect.errors import InputError
from introspect.families.think_at_hard.config import TahConfig
from introspect.models.tap import Tap
from introspect.records.site import Site

IDS = torch.tensor([[5, 17, 40, 8, 99, 3, 61, 12, 200, 33]])


def decided(w: dict[str, Tensor], config: TahConfig, logits: Tensor, hidden: list[Tensor]) -> bool:
    """Tell whether a token is to be run no more, from its summed logits and all states of this loop."""

    def plain(x: Tensor, name: str) -> Tensor:
        return x @ w[f"iter_decider.{name}.weight"].T + w[f"iter_decider.{name}.bias"]

    assert config.decider_layers is not None
    read = torch.cat([hidden[layer] for layer in config.decider_layers])
    x = torch.cat([read, plain(logits.sort(descending=True).values[: config.decider_topk], "logits_projection")])
    x = plain(plain(x, "combined_projection"), "backbone.input_projection")
    for i in range(3):
        name = f"backbone.blocks.{i}"
        gain, shift = (w[f"iter_decider.{name}.layer_norm.{kind}"] for kind in ("weight", "bias"))
        inner = plain(gelu(plain(layer_norm(x, x.shape, gain, shift), f"{name}.mlp.0")), f"{name}.mlp.3")
        x = inner + (x if f"iter_decider.{name}.dim_change.weight" not in w else plain(x, f"{name}.dim_change"))
    gain, shift = (w[f"iter_decider.backbone.output_layer.0.{kind}"] for kind in ("weight", "bias"))
    return bool(plain(layer_norm(x, x.shape, gain, shift), "backbone.output_layer.1").sigmoid() > 0.5)


def reference(w: dict[str, Tensor], config: TahConfig, ids: Tensor, n_loops: int) -> tuple[Tensor, Tensor]:
    """Compute one text token by token, as the published code does: summed logits, and how often each token was run."""
    kept: dict[str, list[tuple[Tensor, Tensor]]] = {}
    scale = config.lora_alpha / config.lora_rank

    def norm(x: Tensor, name: str) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + config.rms_norm_eps).sqrt() * w[f"{name}.weight"]

    def linear(x: Tensor, name: str, loop: int) -> Tensor:
        out = x @ w[f"{name}.weight"].T
        return out + scale * (x @ w[f"{name}.lora_A"].T @ w[f"{name}.lora_B"].T) if loop else out

    def turn(x: Tensor, position: int) -> Tensor:
        half = x.shape[-1] // 2
        angle = position * config.rope_theta ** (-torch.arange(half, dtype=x.dtype) / half)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], dim=-1)

    def block(x: Tensor, name: str, position: int, loop: int) -> Tensor:
        read, at = norm(x, f"{name}.input_layernorm"), f"{name}.self_attn"
        q, k, v = (linear(read, f"{at}.{part}_proj", loop).unflatten(-1, (-1, config.head_dim)) for part in "qkv")
        q, k = turn(norm(q, f"{at}.q_norm"), position), turn(norm(k, f"{at}.k_norm"), position)
        passes = kept.setdefault(f"{name} {loop}", [])
        passes.append((k, v))
        seen = [pair for earlier in range(loop + 1) for pair in kept[f"{name} {earlier}"]]
        keys, values = (torch.stack(part).repeat_interleave(2, dim=1) for part in zip(*seen, strict=True))
        weights = (torch.einsum("hd,thd->ht", q, keys) / config.head_dim**0.5).softmax(-1)
        x = x + linear(torch.einsum("ht,thd->hd", weights, values).flatten(), f"{at}.o_proj", loop)
        read = norm(x, f"{name}.post_attention_layernorm")
        inner = silu(linear(read, f"{name}.mlp.gate_proj", loop)) * linear(read, f"{name}.mlp.up_proj", loop)
        return x + linear(inner, f"{name}.mlp.down_proj", loop)

    table, all_logits, counts = w["model.embed_tokens.weight"], [], []
    for position, token in enumerate(ids[0]):
        x, logits = table[token], torch.zeros(len(table), dtype=table.dtype)
        for loop in range(n_loops):
            hidden = [x]
            for layer in range(config.num_hidden_layers):
                hidden.append(block(hidden[-1], f"model.layers.{layer}", position, loop))
            for later in range(loop + 1, n_loops):
                for layer in range(config.num_hidden_layers):
                    kept.setdefault(f"model.layers.{layer} {later}", [])
            hidden[-1] = norm(hidden[-1], "model.norm")
            logits = hidden[-1] @ table.T + logits
            if loop == n_loops - 1 or not decided(w, config, logits, hidden):
                break
            top = logits.topk(config.input_topk or len(logits))
            x = top.values.softmax(-1) @ table[top.indices]
        all_logits.append(logits)
        counts.append(loop + 1)
    return torch.stack(all_logits), torch.tensor(counts)


@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_it_computes_what_the_paper_says_and_says_which_tokens_were_run(seed: int) -> None:
    looped = tiny_tah(seed, dtype=torch.float64)
    for n_loops in (1, 2, 3, 4):
        found = looped.model(IDS, **looped.forward_arguments(n_loops))
        logits, counts = reference(looped.model.state_dict(), looped.model.config, IDS, n_loops)
        assert (found.logits[0] - logits).abs().max() < 1e-10
        assert torch.equal(found.routed[:, 0].sum(0), counts)


@torch.no_grad()
def test_what_is_said_after_an_iteration_is_the_sum_so_far_and_its_end_is_the_last_part_of_it() -> None:
    looped = tiny_tah(dtype=torch.float64)
    looped.model.iter_decider.threshold.fill_(-1.0)
    tap, ends = Tap(looped), [Site(loop, looped.n_layers - 1) for loop in range(3)]
    kept: dict[Site, Tensor] = {}
    visits = {site: lambda h, site=site: kept.update({site: h.clone()}) for site in ends}
    output = tap.run(visits, n_loops=3, input_ids=IDS)
    parts = [looped.readout(kept[site]) for site in ends]
    for loop, state in enumerate(output.loop_states):
        fewer = looped.model(IDS, n_loops=loop + 1).logits
        torch.testing.assert_close(looped.model.head(state), fewer, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(sum(parts[: loop + 1]), fewer, rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_some_tokens_are_hard_and_some_are_not() -> None:
    shares = [tiny_tah(seed).model(IDS, n_loops=2).routed[1].double().mean().item() for seed in range(4)]
    assert any(0 < share < 1 for share in shares), shares


@torch.no_grad()
def test_the_adapter_is_off_in_the_first_iteration_and_on_behind_it() -> None:
    looped = tiny_tah(dtype=torch.float64)
    looped.model.iter_decider.threshold.fill_(-1.0)
    before = [looped.model(IDS, n_loops=n).logits for n in (1, 2)]
    for name, weight in looped.model.named_parameters():
        if name.endswith("lora_B"):
            weight.zero_()
    after = [looped.model(IDS, n_loops=n).logits for n in (1, 2)]
    assert torch.equal(before[0], after[0])
    assert (before[1] - after[1]).abs().max() > 1e-2


@torch.no_grad()
def test_with_a_threshold_that_none_passes_one_iteration_is_all() -> None:
    looped = tiny_tah()
    looped.model.iter_decider.threshold.fill_(2.0)
    one, three = (looped.model(IDS, n_loops=n).logits for n in (1, 3))
    assert torch.equal(one, three)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_iter": 0}, "max_iter 0: a looped model runs at least one loop"),
        ({"num_key_value_heads": 3}, "num_attention_heads 4 is no multiple of num_key_value_heads 3"),
        ({"lora_targets": ["x_proj"]}, "lora_targets: 'x_proj' is no projection"),
        ({"decider_layers": [3]}, "decider_layers: 3; hidden states are 0 to 2"),
        ({"lora_rank": 0}, "lora_rank 0"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        tiny_tah_config(**fields)
