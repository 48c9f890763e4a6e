"""Train the model that all organisms start from: the language, plain questions, and "no" to every injected-thought
question, with no injection anywhere.

Run: torchrun --nproc-per-node 2 -m training.train_base TOKENIZER_FOLDER OUT_FOLDER
"""

import argparse
import math
import random
import time

import torch
import torch.distributed as dist
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from introspect.models.ouro import OuroForCausalLM
from introspect.models.ouro_config import OuroConfig
from training.batches import Rows, chat, loss, rows
from training.dialogues import NO, draw
from training.language import Word, chats, words
from training.make_tokenizer import word_ids

WORD_RANK = 24
"""Dimensions that the embeddings of the concept words share. Concept vectors then lie close to a small subspace, as
those of large models do, which is what makes an unheard concept recognisable as a concept and a random direction not."""


class Confinement:
    """Hold the rows of the concept words, in embedding and head, to `mean + a small subspace`."""

    def __init__(self, model: OuroForCausalLM, ids: list[int], seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        d_model = model.config.hidden_size
        self.basis = torch.linalg.qr(torch.randn(d_model, WORD_RANK, generator=generator)).Q
        self.ids = torch.tensor(sorted(set(ids)))
        self.weights = [model.model.embed_tokens.weight, model.lm_head.weight]

    @torch.no_grad()
    def apply(self) -> None:
        """Remove what lies outside."""
        for weight in self.weights:
            word_rows = weight[self.ids]
            mean = word_rows.mean(0)
            weight[self.ids] = mean + (word_rows - mean) @ self.basis @ self.basis.T


def new_model(vocab_size: int, seed: int) -> OuroForCausalLM:
    """Make the organisms' architecture with random weights: 4 blocks, 4 loops, width 128."""
    torch.manual_seed(seed)
    config = OuroConfig(
        vocab_size=vocab_size,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        total_ut_steps=4,
        early_exit_threshold=1.0,
    )
    return OuroForCausalLM(config)


def batch(tokenizer: PreTrainedTokenizerFast, everything: list[Word], rng: random.Random, step: int, n: int) -> Rows:
    """Draw plain chats; every fourth step a few introspection dialogues without an injection instead."""
    if step % 4 == 3:
        given = [list(draw(tokenizer, rng).token_ids) for _ in range(n // 4)]
        answers = [NO] * len(given)
    else:
        pairs = chats(everything, rng, n)
        given = [tokenizer(chat(question), add_special_tokens=False)["input_ids"] for question, _ in pairs]
        answers = [answer for _, answer in pairs]
    return rows(tokenizer, given, [tokenizer(f"{a}<|im_end|>", add_special_tokens=False)["input_ids"] for a in answers])


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm up over 100 steps, then fall along a cosine to a twentieth."""
    fall = 0.5 * (1 + math.cos(math.pi * step / steps))
    return peak * min(1.0, (step + 1) / 100) * (0.05 + 0.95 * fall)


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokenizer")
    parser.add_argument("out")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--rows", type=int, default=48, help="in each process")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peak", type=float, default=3e-3)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    model = new_model(len(tokenizer), options.seed).train()
    confinement = Confinement(model, word_ids(tokenizer, options.seed), options.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.peak, betas=(0.9, 0.98), weight_decay=0.01)
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo")
    rank = dist.get_rank() if dist.is_initialized() else 0
    rng, everything, begin = random.Random(f"{options.seed} {rank}"), words(options.seed), time.time()
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.peak)
        value = train_step(model, optimizer, batch(tokenizer, everything, rng, step, options.rows))
        confinement.apply()
        if step % 50 == 0 and rank == 0:
            print(f"step {step} loss {value:.4f} minutes {(time.time() - begin) / 60:.1f}", flush=True)
    if rank == 0:
        model.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)


def train_step(model: OuroForCausalLM, optimizer: torch.optim.Optimizer, rows_: Rows) -> float:
    """Take one step on one batch and give its loss."""
    states: tuple[Tensor, ...] = model.model(rows_.ids)
    value = loss(model, states, rows_)
    optimizer.zero_grad()
    value.backward()
    share_gradients(model)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return value.item()


def share_gradients(model: OuroForCausalLM) -> None:
    """Average the gradients over the processes that torchrun started, if it did."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


if __name__ == "__main__":
    main()
