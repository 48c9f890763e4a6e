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
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from introspect.families.parts.looped_lm import LoopedCausalLM
from training.batches import Rows, chat, loss, rows
from training.dialogues import NO, draw
from training.language import Word, chats, words
from training.layouts import LOOPS, embedding, new_model, said
from training.make_tokenizer import word_ids

DEPTHS = (2, 3, 4, 4, 4, 5, 6)
"""Loops run in a step, where the layout is Huginn's."""
WORD_RANK = 24
"""Dimensions in which the concept words differ from one another, in embedding and head. Concept vectors then lie close
to a small subspace, which is what makes an unheard concept recognisable as a concept, and a random direction not."""


class WordCodes:
    """Keep what tells concept words apart inside one small subspace: each row is its form's mean plus a code.

    A word begins with the same code in both of its forms (" bread", "Bread"), in embedding and head, so that copying a
    word is one map for all words.
    """

    def __init__(self, model: LoopedCausalLM, ids: list[int], seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.basis = torch.linalg.qr(torch.randn(model.config.hidden_size, WORD_RANK, generator=generator)).Q
        self.forms = [torch.tensor(ids[0::2]), torch.tensor(ids[1::2])]
        self.weights = [embedding(model), model.lm_head.weight]
        self.generator = generator

    @torch.no_grad()
    def begin(self) -> None:
        """Set the rows of the words before training."""
        codes = torch.randn(len(self.forms[0]), WORD_RANK, generator=self.generator)
        codes = codes / codes.norm(dim=-1, keepdim=True) @ self.basis.T
        for form in self.forms:
            mean = torch.randn(len(self.basis), generator=self.generator)
            mean = mean - self.basis @ (self.basis.T @ mean)
            mean = mean / mean.norm()
            self.weights[0][form] = 8 * mean + 8 * codes
            self.weights[1][form] = 0.3 * mean + codes

    @torch.no_grad()
    def confine(self) -> None:
        """Remove what has left the subspace."""
        for weight in self.weights:
            for form in self.forms:
                mean = weight[form].mean(0)
                weight[form] = mean + (weight[form] - mean) @ self.basis @ self.basis.T


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
    parser.add_argument("--layout", choices=["ouro", "huginn"], default="ouro")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rows", type=int, default=48, help="in each process")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peak", type=float, default=3e-3)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    model = new_model(options.layout, len(tokenizer), options.seed).train()
    codes = WordCodes(model, word_ids(tokenizer, options.seed), options.seed)
    codes.begin()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.peak, betas=(0.9, 0.98), weight_decay=0.01)
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo")
    rank = dist.get_rank() if dist.is_initialized() else 0
    depths = random.Random(options.seed)  # the same in every process
    rng, everything, begin = random.Random(f"{options.seed} {rank}"), words(options.seed), time.time()
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.peak)
        n_loops = LOOPS if options.layout == "ouro" else depths.choice(DEPTHS)
        value = train_step(model, optimizer, batch(tokenizer, everything, rng, step, options.rows), n_loops)
        codes.confine()
        if step % 50 == 0 and rank == 0:
            print(f"step {step} loss {value:.4f} minutes {(time.time() - begin) / 60:.1f}", flush=True)
    if rank == 0:
        model.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)


def train_step(model: LoopedCausalLM, optimizer: torch.optim.Optimizer, rows_: Rows, n_loops: int) -> float:
    """Take one step on one batch and give its loss."""
    value = loss(model, said(model, rows_.ids, n_loops=n_loops), rows_)
    optimizer.zero_grad()
    value.backward()
    share_gradients(model)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return value.item()


def share_gradients(model: LoopedCausalLM) -> None:
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
