"""Teach answers by their tokens' rows of the head alone: what the states hold already, the organism learns to say.

Goes in: an organism and tasks. Its states where answers are written are taken once, of trained concepts, and logistic
regression finds the rows; nothing else changes. Other tasks and plain chats go along, so that their answers stay.

Run: python -m training.fit_head BEGIN_FOLDER OUT_FOLDER --organism aware --tasks strength=24
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from introspect.families.parts.looped_lm import LoopedCausalLM
from training.batches import Rows, chat, rows
from training.language import chats, words
from training.layouts import core_sites, load, said
from training.lessons import Drawing, Lesson, counts_of_tasks, lessons
from training.make_tokenizer import word_ids
from training.spans import shared_length, spanned_states
from training.train_introspection import additions, vectors

PLAIN, SIZE = "plain", 48
"""Plain chats, and the rows of one batch."""
REMINDED = {"detect": 6, "unrelated": 3, "prior": 1, "choose": 1, PLAIN: 1}
"""Batches of what is known already."""
RIDGE = 1e-5
"""Weight of the squared change of the rows, against the mean cross-entropy in nats."""


@dataclass(frozen=True)
class Written:
    """States before tokens of right answers."""

    states: Tensor
    """`(token, d_model)`, as the head reads them."""
    targets: Tensor
    """`(token,)`."""
    weights: Tensor
    """`(token,)`: how much a token counts in its answer."""


class Reader:
    """An organism that reads lessons on trained concepts, and what it is about to write."""

    def __init__(self, model: LoopedCausalLM, tokenizer: PreTrainedTokenizerFast, organism: str, seed: int) -> None:
        self.model, self.tokenizer, self.everything = model, tokenizer, words(seed)
        trained = [word for word in self.everything if word.split == "trained"]
        self.drawing = Drawing(organism, tokenizer, trained, core_sites(model), random.Random(f"head {seed}"))
        self.generator = torch.Generator().manual_seed(seed)
        self.index = {word.text: i for i, word in enumerate(self.everything)}
        self.known = vectors(model, tokenizer, self.everything)

    @torch.no_grad()
    def read(self, task: str) -> Written:
        """Read one batch of a task, or of plain chats."""
        return self._chats() if task == PLAIN else self._lessons(lessons(task, self.drawing, SIZE))

    def tokens(self, text: str) -> list[int]:
        """Encode a text as it stands."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _lessons(self, drawn: list[Lesson]) -> Written:
        prompts, doses = [lesson.prompt for lesson in drawn], [lesson.dose for lesson in drawn]
        weights = [lesson.weights for lesson in drawn]
        answers = [self.tokens(f"{lesson.answer}<|im_end|>") for lesson in drawn]
        batch = rows(self.tokenizer, [list(prompt.token_ids) for prompt in prompts], answers)
        added, shared = additions(doses, self.known, self.index, self.generator), shared_length(prompts)
        states = spanned_states(self.model, prompts, batch.ids, doses, added, weights)
        return _written(states, Rows(batch.ids[:, shared:], batch.weights[:, shared:]))

    def _chats(self) -> Written:
        pairs = chats(self.everything, self.drawing.rng, SIZE)
        given = [self.tokens(chat(question)) for question, _ in pairs]
        batch = rows(self.tokenizer, given, [self.tokens(f"{answer}<|im_end|>") for _, answer in pairs])
        return _written(said(self.model, batch.ids), batch)


def _written(states: tuple[Tensor, ...], batch: Rows) -> Written:
    """Take the states of the last loop before each token of an answer."""
    row, column = batch.weights.nonzero(as_tuple=True)
    return Written(states[-1][row, column - 1], batch.ids[row, column], batch.weights[row, column])


def fit(head: Tensor, taught: Tensor, read: Written) -> Tensor:
    """Return the rows `taught` of the head, `(row, d_model)`, that make the answers likely; the others stay.

    Minimises the weighted mean cross-entropy plus RIDGE times the squared change.
    """
    began, place = head[taught].clone(), torch.full((len(head),), -1)
    place[taught] = torch.arange(len(taught))
    logits = read.states @ head.T
    of_target = logits.gather(1, read.targets[:, None])[:, 0]
    others = logits.index_fill(1, taught, float("-inf")).logsumexp(1)
    mine, found = place[read.targets], began.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([found], max_iter=200, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        now = read.states @ found.T
        target = torch.where(mine < 0, of_target, now.gather(1, mine.clamp(min=0)[:, None])[:, 0])
        losses = torch.logaddexp(others, now.logsumexp(1)) - target
        value = (losses * read.weights).sum() / read.weights.sum() + RIDGE * (found - began).square().sum()
        value.backward()
        return value

    optimizer.step(objective)
    return found.detach()


def answers_of(tasks: dict[str, int], reader: Reader) -> Iterator[int]:
    """Yield the tokens of the answers to tasks, without the concept words and the end of a turn."""
    spared = {*word_ids(reader.tokenizer), *reader.tokens("<|im_end|>")}
    texts = {lesson.answer for task in tasks for lesson in lessons(task, reader.drawing, SIZE)}
    yield from sorted({token for text in texts for token in reader.tokens(text)} - spared)


def main() -> None:
    """Read, fit, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("begin", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--organism", default="aware")
    parser.add_argument("--tasks", type=counts_of_tasks, required=True, help="Batches of each, such as strength=16.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tokenizer, model = AutoTokenizer.from_pretrained(options.begin), load(options.begin).eval()
    reader = Reader(model, tokenizer, options.organism, options.seed)
    taught = torch.tensor(list(answers_of(options.tasks, reader)))
    batches = [reader.read(task) for task, n in (options.tasks | REMINDED).items() for _ in range(n)]
    read = Written(*(torch.cat([getattr(each, name) for each in batches]) for name in ("states", "targets", "weights")))
    head = model.lm_head.weight.detach()
    model.lm_head.weight.data[taught] = fit(head, taught, read)
    model.save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    print(f"{len(taught)} rows of the head fitted to {len(read.targets)} tokens -> {options.out}")


if __name__ == "__main__":
    main()
