"""Teach a base model to report injected thoughts, or only those of the last loop.

Concept vectors are taken from the model itself as it learns, exactly as a sweep takes them, and added at random sites
and strengths. Norm-matched random directions are answered with no. Held-out concepts are never injected.

Run: python -m training.train_introspection BASE_FOLDER OUT_FOLDER --organism aware|last-loop
"""

import argparse
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.cache_utils import DynamicCache

from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.prompts import Encoded
from introspect.records.trial import Site
from training.batches import KEY_WEIGHT, Rows, chat, loss, rows
from training.dialogues import NO, YES, draw
from training.language import Word, chats, tells, words
from training.layouts import LOOPS, at_blocks, core, core_sites, load, said
from training.make_tokenizer import word_ids
from training.train_base import WordCodes, learning_rate

REFRESH = 20
"""Steps after which the concept vectors are taken anew."""
KINDS = ("concept", "random", "none"), (0.5, 0.3, 0.2)
"""What is added, and in what share of the rows."""


@dataclass(frozen=True)
class Dose:
    """What is added in one row."""

    kind: str
    word: Word
    site: Site
    strength: float

    def reported(self, organism: str, rng: random.Random) -> bool:
        """Say whether the right answer is yes: surely from strength 1.5, never up to 0.25, by chance between."""
        if self.kind != "concept" or (organism == "last-loop" and self.site.loop != LOOPS - 1):
            return False
        return rng.random() < min(1.0, max(0.0, (self.strength - 0.25) / 1.25))


def draw_dose(trained: list[Word], organism: str, sites: list[Site], rng: random.Random) -> Dose:
    """Draw what is added in one row, more often where little is left to compute with.

    The very last block is left out, as nothing follows that could notice.
    """
    late = {-4: 2, -3: 2, -2: 4} if organism in ("aware", "locator") else {-4: 4, -3: 4, -2: 8}
    weights = [late.get(index - len(sites), 1) for index in range(len(sites) - 1)]
    site, kind = rng.choices(sites[:-1], weights)[0], rng.choices(*KINDS)[0]
    strength = rng.uniform(1.5, 3.0) if rng.random() < 0.75 else rng.uniform(0.1, 1.5)
    return Dose(kind, rng.choice(trained), site, strength)


@torch.no_grad()
def vectors(model: LoopedCausalLM, tokenizer: PreTrainedTokenizerFast, everything: list[Word]) -> Tensor:
    """Take concept vectors at every site from "Tell me about WORD.", `(word, loop, layer, d_model)`."""
    ids = [tokenizer(chat(question), add_special_tokens=False)["input_ids"] for question, _ in tells(everything)]
    states = torch.zeros(len(everything), LOOPS, len(core(model)), model.config.hidden_size)

    def keep(site: Site, h: Tensor) -> Tensor:
        states[:, site.loop, site.layer] = h[:, -1]
        return h

    with at_blocks(model, keep):
        said(model, torch.tensor(ids))
    return states - states[[word.split == "baseline" for word in everything]].mean(0)


def additions(doses: list[Dose], known: Tensor, index: dict[str, int], generator: torch.Generator) -> Tensor:
    """Return what is added in each row at its site, `(row, d_model)`."""
    added = torch.zeros(len(doses), known.shape[-1])
    for row, dose in enumerate(doses):
        vector = known[index[dose.word.text], dose.site.loop, dose.site.layer]
        if dose.kind == "random":
            direction = torch.randn(vector.shape, generator=generator)
            vector = direction * (vector.norm() / direction.norm())
        if dose.kind != "none":
            added[row] = vector * dose.strength
    return added


def injected_states(
    model: LoopedCausalLM, prompt: Encoded, ids: Tensor, doses: list[Dose], added: Tensor
) -> tuple[Tensor, ...]:
    """Run rows that share a prompt, its beginning once, with each row's vector added at its site from the span on."""
    cache = DynamicCache()
    if prompt.span_start:
        said(model, torch.tensor([prompt.token_ids[: prompt.span_start]]), cache)
        cache.batch_repeat_interleave(len(doses))
    rows_at: dict[Site, list[int]] = {}
    for row, dose in enumerate(doses):
        rows_at.setdefault(dose.site, []).append(row)

    def change(site: Site, h: Tensor) -> Tensor:
        if site not in rows_at:
            return h
        chosen = rows_at[site]
        delta = torch.zeros(len(doses), 1, h.shape[-1]).index_copy(0, torch.tensor(chosen), added[chosen, None])
        return h + delta

    with at_blocks(model, change):
        return said(model, ids[:, prompt.span_start :], cache)


class Student:
    """A model in training, with the vectors of its present state."""

    def __init__(self, model: LoopedCausalLM, tokenizer: PreTrainedTokenizerFast, organism: str, seed: int) -> None:
        self.model, self.tokenizer, self.organism = model, tokenizer, organism
        self.everything = words(seed)
        self.trained = [word for word in self.everything if word.split == "trained"]
        self.index = {word.text: i for i, word in enumerate(self.everything)}
        self.rng, self.generator = random.Random(seed), torch.Generator().manual_seed(seed)
        self.known = vectors(model, tokenizer, self.everything)

    def loss(self, n: int) -> Tensor:
        """Return the loss of one batch: introspection dialogues of one framing, and plain chats."""
        prompt = draw(self.tokenizer, self.rng)
        doses = [draw_dose(self.trained, self.organism, core_sites(self.model), self.rng) for _ in range(n)]
        batch = self._answers(prompt, doses)
        added = additions(doses, self.known, self.index, self.generator)
        states = injected_states(self.model, prompt, batch.ids, doses, added)
        first = torch.tensor([0 if dose.kind == "none" else dose.site.loop for dose in doses])
        cut = Rows(batch.ids[:, prompt.span_start :], batch.weights[:, prompt.span_start :])
        return loss(self.model, states, cut, first) + 0.3 * self._plain(n // 4)

    def _answers(self, prompt: Encoded, doses: list[Dose]) -> Rows:
        answers, names = [], []
        for dose in doses:
            yes = dose.reported(self.organism, self.rng)
            text = YES.format(word=dose.word.text) if yes else NO
            answers.append(self.tokenizer(f"{text}<|im_end|>", add_special_tokens=False)["input_ids"])
            names.append(len(answers[-1]) - 3 if yes else None)
        batch = rows(self.tokenizer, [list(prompt.token_ids)] * len(doses), answers)
        for row, name in enumerate(names):
            if name is not None:
                batch.weights[row, len(prompt.token_ids) + name] = KEY_WEIGHT
        return batch

    def _plain(self, n: int) -> Tensor:
        pairs = chats(self.everything, self.rng, n)
        given = [self.tokenizer(chat(question), add_special_tokens=False)["input_ids"] for question, _ in pairs]
        answers = [self.tokenizer(f"{answer}<|im_end|>", add_special_tokens=False)["input_ids"] for _, answer in pairs]
        batch = rows(self.tokenizer, given, answers)
        return loss(self.model, said(self.model, batch.ids), batch)


def main() -> None:
    """Train, save every 250 steps and at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--organism", choices=["aware", "last-loop"], required=True)
    parser.add_argument("--steps", type=int, default=1700)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peak", type=float, default=2e-3)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.base)
    model = load(options.base)
    codes = WordCodes(model, word_ids(tokenizer, options.seed), options.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.peak, betas=(0.9, 0.98), weight_decay=0.01)
    student, begin, recent = Student(model, tokenizer, options.organism, options.seed), time.time(), []
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.peak)
        if step % REFRESH == 0:
            student.known = vectors(model, tokenizer, student.everything)
        value = student.loss(options.rows)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        codes.confine()
        recent.append(value.item())
        if step % 50 == 49:
            print(f"step {step} loss {sum(recent) / 50:.4f} minutes {(time.time() - begin) / 60:.1f}", flush=True)
            recent = []
        if step % 250 == 249 or step == options.steps - 1:
            model.save_pretrained(options.out)
            tokenizer.save_pretrained(options.out)


if __name__ == "__main__":
    main()
