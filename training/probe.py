"""A quick look at an organism while it learns: how often its most probable first token is the right answer's, by task,
by what is injected, and by site. Held-out concepts unless told otherwise; no sampling.

Run: python -m training.probe FOLDER [--strength 2] [--split held-out] [--rows 48] [--tasks detect,prior]
"""

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.records.trial import Site
from training.batches import rows
from training.language import words
from training.layouts import LOOPS, core_sites, load
from training.lessons import TASKS, Drawing, lessons
from training.spans import shared_length, spanned_states
from training.train_introspection import Dose, additions, vectors

ARMS = ("none", "concept", "random")


@dataclass(frozen=True)
class Asked(Drawing):
    """A drawing in which what is added is given, at the given site."""

    kind: str
    site: Site
    strength: float

    def dose(self, **_: bool) -> Dose:
        """Return the dose with a word at random."""
        return Dose(self.kind, self.rng.choice(self.words), self.site, self.strength)


class Probe:
    """A model with its vectors."""

    def __init__(self, model: LoopedCausalLM, tokenizer: PreTrainedTokenizerFast, split: str, seed: int = 0) -> None:
        self.model, self.tokenizer, self.everything = model, tokenizer, words(seed)
        self.chosen = [word for word in self.everything if word.split == split]
        self.index = {word.text: i for i, word in enumerate(self.everything)}
        self.known = vectors(model, tokenizer, self.everything)

    @torch.no_grad()
    def right(self, task: str, kind: str, site: Site, strength: float, n: int) -> tuple[float, float]:
        """Return the shares of rows with the right first token, and with the concept named where the answer does so."""
        # "aware": right is what a model that notices in every loop would say
        drawing = Asked(
            *("aware", self.tokenizer, self.chosen, core_sites(self.model), random.Random(f"{task} {site}")),
            *(kind, site, strength),
        )
        drawn = lessons(task, drawing, n)
        prompts, doses = [lesson.prompt for lesson in drawn], [lesson.dose for lesson in drawn]
        weights = [lesson.weights for lesson in drawn]
        answers = [self.tokenizer(lesson.answer, add_special_tokens=False)["input_ids"] for lesson in drawn]
        ids = rows(self.tokenizer, [list(prompt.token_ids) for prompt in prompts], answers).ids
        added = additions(doses, self.known, self.index, torch.Generator().manual_seed(1))
        state, shared = spanned_states(self.model, prompts, ids, doses, added, weights)[-1], shared_length(prompts)
        guess = self.model.lm_head(state).argmax(-1)
        firsts, named = [], []
        for row, (lesson, answer) in enumerate(zip(drawn, answers, strict=True)):
            before = len(lesson.prompt.token_ids) - shared - 1
            firsts.append(guess[row, before].item() == answer[0])
            if lesson.names:
                named.append(guess[row, before + len(answer) - 2].item() == answer[-2])
        return _mean(firsts), _mean(named)

    def table(self, task: str, strength: float, n: int) -> str:
        """Describe one task in a few lines: for each arm and loop, right/named by layer."""
        lines = [f"{task}: right first token/concept named, by layer"]
        for kind in ARMS:
            for loop in range(1 if kind == "none" else LOOPS):
                sites = [site for site in core_sites(self.model) if site.loop == loop]
                cells = [self.right(task, kind, site, strength, n) for site in sites]
                shown = "  ".join(f"{right:4.2f}/{named:4.2f}" for right, named in cells)
                lines.append(f"  {kind:8s} loop {loop}: {shown}")
        return "\n".join(lines)


def geometry(probe: Probe) -> str:
    """Say how much of the held-out vectors lies in the 32 main directions of the trained ones, per loop at layer 2."""
    trained, held = (
        torch.tensor([word.split == split for word in probe.everything]) for split in ("trained", "held-out")
    )
    shares = []
    for loop in range(LOOPS):
        basis = torch.linalg.svd(probe.known[trained, loop, 2], full_matrices=False).Vh[:32]
        v = probe.known[held, loop, 2]
        shares.append(f"{((v @ basis.T).norm(dim=-1) ** 2 / v.norm(dim=-1) ** 2).mean():.2f}")
    return f"held-out share in 32 main directions {shares}"


def _mean(values: list[bool]) -> float:
    return sum(values) / len(values) if values else float("nan")


def main() -> None:
    """Probe every task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strength", type=float, default=2.0)
    parser.add_argument("--split", default="held-out")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--tasks", default=",".join(TASKS))
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    model = load(options.folder).eval()
    probe = Probe(model, tokenizer, options.split)
    for task in options.tasks.split(","):
        print(probe.table(task, options.strength, options.rows))
    print(geometry(probe))


if __name__ == "__main__":
    main()
