"""GPT-NeoX's stack by plain sums, over the columns of a text that may share positions: a family's reference."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm


def stack_of(w: dict[str, Tensor], config: object, positions: list[int]) -> Callable[..., Tensor]:
    """Make what runs all blocks and the last norm over `(batch, column, d_model)`, columns at these positions.

    `changed(layer, h)` may change what a block puts out.
    """
    size, turned, n = config.head_dim, config.rotary_size, len(positions)

    def norm(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], config.layer_norm_eps)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def turn(x: Tensor) -> Tensor:
        out = x.clone()
        for column, position in enumerate(positions):
            for pair in range(turned // 2):
                angle = torch.tensor(position * 10_000.0 ** (-2 * pair / turned), dtype=x.dtype)
                a, b = x[..., column, pair], x[..., column, pair + turned // 2]
                out[..., column, pair] = a * angle.cos() - b * angle.sin()
                out[..., column, pair + turned // 2] = b * angle.cos() + a * angle.sin()
        return out

    def block(x: Tensor, name: str) -> Tensor:
        read = linear(norm(x, f"{name}.input_layernorm"), f"{name}.attention.query_key_value")
        q, k, v = (part.transpose(1, 2) for part in read.unflatten(-1, (-1, 3 * size)).split(size, -1))
        scores = turn(q) @ turn(k).transpose(-1, -2) / size**0.5
        hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v
        attended = linear(mixed.transpose(1, 2).flatten(2), f"{name}.attention.dense")
        read = x if config.use_parallel_residual else x + attended
        inner = gelu(linear(norm(read, f"{name}.post_attention_layernorm"), f"{name}.mlp.dense_h_to_4h"))
        return x + attended + linear(inner, f"{name}.mlp.dense_4h_to_h")

    def run(x: Tensor, changed: Callable[[int, Tensor], Tensor] = lambda _, h: h) -> Tensor:
        for layer in range(config.num_hidden_layers):
            x = changed(layer, block(x, f"gpt_neox.layers.{layer}"))
        return norm(x, "gpt_neox.final_layer_norm")

    return run
