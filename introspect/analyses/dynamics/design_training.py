"""Training a small stack, so that the design study is not about random weights alone.

Goes in: a stack. Come out: its weights trained in place, and its loss on texts that it was not trained on. A text
follows one of a few tables of which token comes after which, and which table it is can only be told from the text so
far, so that attention to earlier tokens pays. The number of loops is always the same, gradients go through all of them,
and the loss is the mean over the loops, much as Ouro's weighs every exit (arXiv 2510.25741): by that of the last loop
alone, Ouro's norm without re-feed learns nothing in the same steps when there are 8 blocks or more.

What a trained stack does hangs on that choice: Ouro's norm with re-feed comes to rest when trained so, and does not
when trained for 500 steps on the last loop alone (blocks 4, 8, 12, one seed each). Only the random weights are held
against a published table of designs.
"""

from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from introspect.analyses.dynamics.design import TRAINED_LOOPS, VOCABULARY, Stack

N_TABLES = 4
SURPRISES = 0.1
"""Share of tokens that no table foretells."""
STEPS = 300
"""As many as every design needs to learn the texts."""
_ROWS, _POSITIONS, _HELD_OUT = 32, 24, 128
LEARNING_RATE, CLIP = 1e-3, 1.0


def random_tables() -> Tensor:
    """Return what follows each token, `(table, token)`."""
    return torch.randint(VOCABULARY, (N_TABLES, VOCABULARY), generator=torch.Generator().manual_seed(0))


def texts(rows: int, source: torch.Generator) -> Tensor:
    """Draw texts, `(row, position)`; the tables are the same in all of them."""
    follows = random_tables()[torch.randint(N_TABLES, (rows,), generator=source)]
    tokens = [torch.randint(VOCABULARY, (rows,), generator=source)]
    for _ in range(_POSITIONS):
        drawn = torch.randint(VOCABULARY, (rows,), generator=source)
        surprising = torch.rand(rows, generator=source) < SURPRISES
        tokens.append(torch.where(surprising, drawn, follows[range(rows), tokens[-1]]))
    return torch.stack(tokens, 1)


def train(stack: Stack, steps: int) -> None:
    """Train a stack in place for so many steps of _ROWS texts, drawn from its own seed."""
    optimizer = torch.optim.AdamW(stack.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps + 1)
    for _ in range(steps):
        optimizer.zero_grad()
        losses = list(_losses(stack, texts(_ROWS, stack.source), TRAINED_LOOPS, stack.source))
        torch.autograd.backward(torch.stack(losses).mean())
        torch.nn.utils.clip_grad_norm_(stack.parameters(), CLIP)
        optimizer.step()
        schedule.step()


@torch.inference_mode()
def held_out_loss(stack: Stack, recurrences: int) -> float:
    """Return the loss in nats per token after so many recurrences, on the same texts every time."""
    source = torch.Generator().manual_seed(1)
    (last,) = deque(_losses(stack, texts(_HELD_OUT, source), recurrences, source), maxlen=1)
    return float(last)


def _losses(stack: Stack, tokens: Tensor, recurrences: int, source: torch.Generator) -> Iterator[Tensor]:
    """Yield the loss in nats per token after each loop."""
    ids = tokens[:, :-1]
    for logits in stack.logits(ids, recurrences, stack.noise(ids, source)):
        yield cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
