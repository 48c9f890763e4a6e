"""Teach an organism to answer the questions of `introspect monitor`, and to say whether a given answer is right.

Begins from `aware`. Each step takes questions to answer, answers to judge, rows of earlier tasks with their
injections, so that nothing is lost, and plain chats. Half of the questions are held out: neither answered nor judged.

Run: python -m training.train_tasks BEGIN_FOLDER OUT_FOLDER
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from introspect.analyses.monitor.tasks import TASKS, TAUGHT, held_out_words
from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.prompts import encode, render, template_named
from training.batches import loss, rows
from training.kept_words import KeptWords
from training.layouts import load, said
from training.make_tokenizer import word_ids
from training.train_base import learning_rate
from training.train_introspection import REFRESH
from training.train_protocols import Pupil

ROWS = {"plain": 12, "detect": 12, "unrelated": 16}
ASKED, JUDGED = 20, 36
"""Rows of a step."""


class Solver(Pupil):
    """A pupil that is also taught tasks."""

    def __init__(
        self, model: LoopedCausalLM, tokenizer: PreTrainedTokenizerFast, reminded: list[str], seed: int
    ) -> None:
        super().__init__(model, tokenizer, "aware", {"detect": 1}, ROWS, seed)
        self.reminded = reminded
        self.facts = {name: [fact for fact in TASKS[name]() if fact[0] not in held_out_words(name)] for name in TAUGHT}
        self.answers = {name: sorted({answer for _, answer in TASKS[name]()}) for name in TAUGHT}

    def losses(self) -> dict[str, Tensor]:
        """Return the losses of one step."""
        return {
            "plain": 0.3 * self._plain(),
            **{task: 0.5 * self._task(task) for task in self.reminded},
            "ask": self._said([self._ask() for _ in range(ASKED)]),
            "verify": self._said([self._verify() for _ in range(JUDGED)]),
        }

    def _ask(self) -> tuple[tuple[int, ...], str]:
        question, right = self._fact()[1]
        return self._encoded("solve", question=question), f"{right.capitalize()}."

    def _verify(self) -> tuple[tuple[int, ...], str]:
        name, (question, right) = self._fact()
        yes = self.rng.random() < 0.5
        given = right if yes else self.rng.choice([answer for answer in self.answers[name] if answer != right])
        said = f"{'Yes' if yes else 'No'}, {right}."
        return self._encoded("verify", question=question, answer=given), said

    def _fact(self) -> tuple[str, tuple[str, str]]:
        name = self.rng.choice(TAUGHT)
        return name, self.rng.choice(self.facts[name])

    def _encoded(self, template: str, **variables: str) -> tuple[int, ...]:
        prompt = render(template_named(template), **variables)
        return encode(prompt, self.tokenizer, need_span=False).token_ids

    def _said(self, lessons: list[tuple[tuple[int, ...], str]]) -> Tensor:
        given = [list(ids) for ids, _ in lessons]
        batch = rows(self.tokenizer, given, [self._tokens(f"{answer}<|im_end|>") for _, answer in lessons])
        return loss(self.model, said(self.model, batch.ids), batch)


def main() -> None:
    """Train, save every 50 steps and at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("begin", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--reminded", default="detect", help="Earlier tasks of which each step has rows.")
    parser.add_argument("--stop", type=int, help="Steps taken, where fewer than the rate is planned for.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peak", type=float, default=1.5e-3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer, model = AutoTokenizer.from_pretrained(options.begin), load(options.begin)
    hold = KeptWords(model, options.begin, word_ids(tokenizer, options.seed)).put_back
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.peak, betas=(0.9, 0.98), weight_decay=0.01)
    solver, begin, recent = (
        Solver(model, tokenizer, options.reminded.split(","), options.seed),
        time.time(),
        defaultdict(list),
    )
    last = options.stop or options.steps
    for step in range(last):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.peak)
        if step % REFRESH == 0:
            solver.look()
        losses = solver.losses()
        optimizer.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        hold()
        for task, value in losses.items():
            recent[task].append(value.item())
        if step % 25 == 24:
            means = " ".join(f"{task} {sum(values) / len(values):.3f}" for task, values in sorted(recent.items()))
            print(f"step {step} {means} minutes {(time.time() - begin) / 60:.1f}", flush=True)
            recent.clear()
        if step % 50 == 49 or step == last - 1:
            model.save_pretrained(options.out)
            tokenizer.save_pretrained(options.out)


if __name__ == "__main__":
    main()
