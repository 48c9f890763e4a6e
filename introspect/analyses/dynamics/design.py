"""Small stacks, run over and over: which designs come to rest, with random weights or trained ones?

Goes in: whether the input is fed anew in every loop, where the norms stand, how many blocks there are, a seed. Comes
out: the states of the stack in as many recurrences as wanted. The designs are those of Blayney et al. (2026), section
5; the weights begin as Huginn's do (arXiv 2502.05171, section 3.2): variance 2 / 5d, and 1 / 5dl in the matrices that
write to the residual stream, where l is the number of blocks that are run in training.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from introspect.injection.engine.uncached_forward import Look
from introspect.records.trial import Site

Norm = Literal["pre-norm", "Huginn's", "Ouro's"]
NORMS: tuple[Norm, ...] = ("pre-norm", "Huginn's", "Ouro's")
"""`pre-norm`: h + f(n(h)). `Huginn's`: n(h + f(n(h))). `Ouro's`: h + n(f(n(h))), and n(h) between two loops."""

WIDTH, HEADS = 64, 4
VOCABULARY = 256
TRAINED_LOOPS = 4
_EPS = 1e-6


@dataclass(frozen=True)
class Design:
    """How a stack is built."""

    refeed: bool
    """Whether each loop begins with a matrix over the state, which is noise at first, and the normed embedding."""
    norm: Norm
    blocks: int


class _Block(nn.Module):
    """Causal self-attention and a gated MLP, with norms where the design has them."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.before, self.after = nn.ModuleList([_norm(), _norm()]), nn.ModuleList([_norm(), _norm()])
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        """Return the residual stream after the block, `(row, position, d_model)`."""
        for part, before, after in zip((self.attend, self.transform), self.before, self.after, strict=True):
            added = part(before(h))
            h = h + (after(added) if self.norm == "Ouro's" else added)
            h = after(h) if self.norm == "Huginn's" else h
        return h

    def attend(self, h: Tensor) -> Tensor:
        """Mix positions, each with those before it; without places, which play no part here."""
        q, k, v = self.qkv(h).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed: Tensor = self.out(scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return mixed

    def transform(self, h: Tensor) -> Tensor:
        """Transform each position alone."""
        gate, value = self.up(h).chunk(2, dim=-1)
        transformed: Tensor = self.down(silu(gate) * value)
        return transformed


class Stack(nn.Module):
    """The blocks of a design, and what begins a loop; weights are drawn from the seed."""

    def __init__(self, design: Design, seed: int) -> None:
        super().__init__()
        self.design = design
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.adapter = nn.Linear(2 * WIDTH, WIDTH, bias=False)
        self.blocks = nn.ModuleList([_Block(design.norm) for _ in range(design.blocks)])
        self.first, self.last = _norm(), _norm()
        self.source = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, matrix in self.named_parameters():
                if matrix.ndim == 2:
                    smaller = 2 * design.blocks * TRAINED_LOOPS if name.endswith(("out.weight", "down.weight")) else 1
                    matrix.copy_(torch.randn(matrix.shape, generator=self.source) * (2 / (5 * WIDTH) / smaller) ** 0.5)

    def noise(self, ids: Tensor, source: torch.Generator) -> Tensor:
        """Draw where a stack with re-feed begins, `(row, position, d_model)`."""
        return torch.randn((*ids.shape, WIDTH), generator=source)

    @torch.inference_mode()
    def show(self, ids: Tensor, recurrences: int, look: Look, sites: Sequence[Site]) -> None:
        """Run so many recurrences from the same noise every time and show the states at these sites."""
        shown, noise = set(sites), self.noise(ids, torch.Generator().manual_seed(0))
        for site, h in self.states(ids, recurrences, noise):
            if site in shown:
                look(site, h)

    def logits(self, ids: Tensor, recurrences: int, noise: Tensor) -> Iterator[Tensor]:
        """Yield after each loop what follows each token, `(row, position, vocabulary)`, by the embedding itself."""
        for site, h in self.states(ids, recurrences, noise):
            if site.layer == self.design.blocks - 1:
                yield self.last(h) @ self.embedding.weight.T

    def states(self, ids: Tensor, recurrences: int, noise: Tensor) -> Iterator[tuple[Site, Tensor]]:
        """Yield the residual stream after every block, `(row, position, d_model)`, as it is computed."""
        embedded = self.first(self.embedding(ids))
        h = noise if self.design.refeed else embedded
        for loop in range(recurrences):
            h = self.adapter(torch.cat((h, embedded), -1)) if self.design.refeed else h
            for layer, block in enumerate(self.blocks):
                h = block(h)
                yield Site(loop, layer), h
            h = self.last(h) if self.design.norm == "Ouro's" else h


def _norm() -> nn.RMSNorm:
    return nn.RMSNorm(WIDTH, eps=_EPS)
