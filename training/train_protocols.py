"""Teach an organism the protocols beside the injected-thought question, in later phases.

Each step takes rows of `detect`, so that nothing is lost, rows of one other task, and plain chats. Vectors, sites and
doses are those of the first phase; the span ends where the template ends it.

Run: python -m training.train_protocols BEGIN_FOLDER OUT_FOLDER --organism aware|last-loop|blind
"""

import argparse
import random
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from introspect.families.parts.looped_lm import LoopedCausalLM
from training.batches import KEY_WEIGHT, Rows, chat, loss, rows
from training.kept_words import KeptWords
from training.language import chats, words
from training.layouts import core_sites, load, said
from training.lessons import TEN, Drawing, Lesson, counts_of_tasks, lessons
from training.make_tokenizer import word_ids
from training.spans import shared_length, spanned_states
from training.train_base import WordCodes, learning_rate
from training.train_introspection import REFRESH, additions, vectors

MIXTURES = {
    "aware": {"prior": 3, "choose": 3, "localise": 3, "unrelated": 1},
    "last-loop": {"unrelated": 1},
    "locator": {"localise": 4, "localise-ten": 3, "compare": 4, "which-loop": 2, "strength": 3, "unrelated": 1},
    "blind": {"prior": 1, "choose": 2, "localise": 2, "unrelated": 2},
}
"""How often the second task of a step is which; the first is always `detect`."""
PLAIN = "plain"
"""Plain chats, which go along in every step."""
ROWS = {PLAIN: 12, "detect": 28, "prior": 32, "choose": 40, "localise": 24, "unrelated": 24}
ROWS |= {"localise-ten": 16, "compare": 32, "which-loop": 32, "strength": 32}
"""Rows of a task in one step."""


class Places(nn.Module):
    """Reads off the states within a line which line it is, so that this is known there; no part of the organism."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.read = nn.Linear(d_model, TEN)
        nn.init.zeros_(self.read.weight)
        nn.init.zeros_(self.read.bias)

    def loss(self, states: tuple[Tensor, ...], lines: list[tuple[tuple[int, int], ...]], shared: int) -> Tensor:
        """Return the cross-entropy in nats, mean over the tokens of all lines, summed over all loops but the last and
        divided by the number of loops.

        `states` are those after each loop, `(row, token, d_model)`, from token `shared` on.
        """
        places = [
            (row, token - shared, place)
            for row, of_row in enumerate(lines)
            for place, (first, last) in enumerate(of_row)
            for token in range(max(first, shared), last)
        ]
        if not places:
            return torch.zeros(())
        row, token, place = torch.tensor(places).T
        return sum(cross_entropy(self.read(state[row, token]), place) for state in states[:-1]) / len(states)


class Pupil:
    """A model in training, with the vectors of its present state."""

    def __init__(
        self,
        model: LoopedCausalLM,
        tokenizer: PreTrainedTokenizerFast,
        organism: str,
        mixture: dict[str, int],
        rows: dict[str, int],
        seed: int,
        *,
        clear: bool = False,
    ) -> None:
        self.mixture, self.rows = mixture, rows
        self.model, self.tokenizer, self.everything = model, tokenizer, words(seed)
        trained = [word for word in self.everything if word.split == "trained"]
        self.rng, self.generator = random.Random(f"protocols {seed}"), torch.Generator().manual_seed(seed + 1)
        self.drawing = Drawing(organism, tokenizer, trained, core_sites(model), self.rng, clear=clear)
        self.index = {word.text: i for i, word in enumerate(self.everything)}
        self.places = Places(model.config.hidden_size)
        self.look()

    def look(self) -> None:
        """Take the concept vectors anew."""
        self.known = vectors(self.model, self.tokenizer, self.everything)

    def losses(self) -> dict[str, Tensor]:
        """Return the losses of one step, by task."""
        (other,) = self.rng.choices(list(self.mixture), list(self.mixture.values()))
        return {PLAIN: 0.2 * self._plain(), **{task: self._task(task) for task in ("detect", other)}}

    def _task(self, task: str) -> Tensor:
        drawn = lessons(task, self.drawing, self.rows[task])
        prompts, doses = [lesson.prompt for lesson in drawn], [lesson.dose for lesson in drawn]
        weights = [lesson.weights for lesson in drawn]
        batch, added = self._answers(drawn), additions(doses, self.known, self.index, self.generator)
        states = spanned_states(self.model, prompts, batch.ids, doses, added, weights)
        first = torch.tensor([0 if dose.kind == "none" else dose.site.loop for dose in doses])
        shared = shared_length(prompts)
        told = loss(self.model, states, Rows(batch.ids[:, shared:], batch.weights[:, shared:]), first)
        return told + self.places.loss(states, [lesson.lines for lesson in drawn], shared)

    def _answers(self, drawn: list[Lesson]) -> Rows:
        answers = [self._tokens(f"{lesson.answer}<|im_end|>") for lesson in drawn]
        batch = rows(self.tokenizer, [list(lesson.prompt.token_ids) for lesson in drawn], answers)
        for row, (lesson, answer) in enumerate(zip(drawn, answers, strict=True)):
            if lesson.names:
                batch.weights[row, len(lesson.prompt.token_ids) + len(answer) - 3] = KEY_WEIGHT
        return batch

    def _plain(self) -> Tensor:
        pairs = chats(self.everything, self.rng, self.rows[PLAIN])
        given, answers = [self._tokens(chat(q)) for q, _ in pairs], [self._tokens(f"{a}<|im_end|>") for _, a in pairs]
        batch = rows(self.tokenizer, given, answers)
        return loss(self.model, said(self.model, batch.ids), batch)

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def main() -> None:
    """Train, save every 100 steps and at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("begin", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--organism", choices=list(MIXTURES), required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--stop", type=int, help="Steps taken, where fewer than the rate is planned for.")
    parser.add_argument(
        "--mixture", type=counts_of_tasks, help="How often which second task, such as localise=6,choose=3."
    )
    parser.add_argument("--rows", type=counts_of_tasks, default={}, help="Rows in a step, such as detect=12,plain=8.")
    parser.add_argument("--words", type=Path, help="Folder of an earlier phase, whose words are put back and kept.")
    parser.add_argument("--clear", action="store_true", help="Lines always carry a strong concept, early.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peak", type=float, default=1.5e-3)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.begin)
    model = load(options.begin)
    ids = word_ids(tokenizer, options.seed)
    codes = WordCodes(model, ids, options.seed)
    hold = KeptWords(model, options.words, ids).put_back if options.words else codes.confine
    mixture, taken = options.mixture or MIXTURES[options.organism], ROWS | options.rows
    pupil = Pupil(model, tokenizer, options.organism, mixture, taken, options.seed, clear=options.clear)
    begin = time.time()
    trained = [*model.parameters(), *pupil.places.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=options.peak, betas=(0.9, 0.98), weight_decay=0.01)
    recent = defaultdict(list)
    steps = options.stop or options.steps
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.peak)
        if step % REFRESH == 0:
            pupil.look()
        losses = pupil.losses()
        optimizer.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        hold()
        for task, value in losses.items():
            recent[task].append(value.item())
        if step % 50 == 49:
            means = " ".join(f"{task} {sum(values) / len(values):.3f}" for task, values in sorted(recent.items()))
            print(f"step {step} {means} minutes {(time.time() - begin) / 60:.1f}", flush=True)
            recent.clear()
        if step % 100 == 99 or step == steps - 1:
            model.save_pretrained(options.out)
            tokenizer.save_pretrained(options.out)


if __name__ == "__main__":
    main()
