"""Recursive transformers: Llama blocks tied over depth, with per-depth LoRA or routers where they were trained so.

Goes in: token ids, a mask, a cache, the number of loops. Come out: logits, the state after every loop, and which
tokens each loop has run. Tokens are routed by masks: every block computes all of them, and those that are not run
keep their state, and the keys and values that they had in the last loop that ran them (the hybrid of recursion-wise
caching and recursive sharing). No checkpoints on the hub are known; the weight names are Llama's, for one set of
blocks.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from introspect.errors import InputError
from introspect.families.parts.layers import RMSNorm, Shared, rotary_angles
from introspect.families.parts.routed_lm import RoutedCausalLM
from introspect.families.recursive.blocks import LowRank, Pass, RecursiveBlock, Routing
from introspect.families.recursive.config import RecursiveConfig
from introspect.records.trial import CODA, PRELUDE, Site


class RecursiveModel(nn.Module):
    """The embedding, the tied blocks, the one before and the one behind them, and what each depth has of its own."""

    def __init__(self, config: RecursiveConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.prelude = nn.ModuleList([RecursiveBlock(config) for _ in range(config.n_outside)])
        self.layers = nn.ModuleList([RecursiveBlock(config) for _ in range(config.base_depth)])
        self.coda = nn.ModuleList([RecursiveBlock(config) for _ in range(config.n_outside)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        depths = range(config.num_recursion if config.lora_rank else 0)
        self.loras = nn.ModuleList([nn.ModuleList([_added(config, block) for block in self.layers]) for _ in depths])
        heads = {"none": 0, "token": 1, "expert": config.num_recursion - (not config.route_first)}[config.routing]
        choices = config.num_recursion if config.routing == "token" else 1
        self.routers = nn.ModuleList([nn.Linear(config.hidden_size, choices, bias=False) for _ in range(heads)])


class RecursiveForCausalLM(RoutedCausalLM):
    """The looped language model."""

    config_class = RecursiveConfig
    config: RecursiveConfig
    base_model_prefix = "model"
    _no_split_modules = ["RecursiveBlock"]  # noqa: RUF012 (transformers reads a plain list)
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 (read by transformers)

    def __init__(self, config: RecursiveConfig) -> None:
        super().__init__(config)
        self.model = RecursiveModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @property
    def trained_loops(self) -> int:
        """Return the loops as trained."""
        return self.config.num_recursion

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        return self.model.embed_tokens

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rotary angles."""
        assert self.config.rope_parameters is not None
        assert self.config.head_dim is not None
        return rotary_angles(positions, self.config.head_dim, self.config.rope_parameters["rope_theta"], h.dtype)

    def run(
        self,
        h: Tensor,
        shared: Shared,
        n_loops: int,
        after: Site | None,
        routed: list[Tensor] | None = None,
        capacity: Sequence[float] | None = None,
        **_: Any,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the blocks; the states are those after each loop, where it has run a token.

        `capacity` is the share of the text that each loop runs where experts choose: see Routing. Raises InputError
        for one that cannot be had: of other routing, with a cache, with padding, or not a share a loop.
        """
        self.config.check_loops(n_loops)
        if capacity is not None:
            check_capacity(self.config, capacity, n_loops, shared)
        model, config = self.model, self.config
        states: list[Tensor] = []
        routing = None if config.routing == "none" else Routing(config, model.routers, capacity)
        assert routing is None or after is None, "routed tokens cannot go on behind a site"
        before: dict[nn.Module, tuple[Tensor, Tensor]] = {}
        for slot, site in enumerate(self.running(n_loops)):
            if after is not None and site <= after:
                continue
            if site.stage != "core":
                outside = model.prelude if site.stage == "prelude" else model.coda
                h = outside[site.layer](h, shared, Pass(slot))
                continue
            if routing is not None and site.layer == 0:
                routing.begin(site.loop, h)
            ends = site.layer == config.base_depth - 1
            block, repeat = self.tied(site, n_loops)
            h = model.layers[block](
                h,
                shared,
                Pass(
                    slot,
                    added=model.loras[repeat][block] if config.lora_rank else None,
                    routed=None if routing is None else routing.routed[-1],
                    before=before,
                    leave=routing.leave if routing is not None and ends else None,
                ),
            )
            if ends:
                h = h if routing is None else routing.end(h)
                states.append(h)
        if routing is not None and routed is not None:
            routed.extend(routing.routed)
        return h, tuple(states)

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of what the last block put out."""
        return self.lm_head(self.model.norm(state))

    def running(self, n_loops: int) -> Iterator[Site]:
        """List the sites in running order."""
        for loop in (PRELUDE, *range(n_loops), CODA):
            outside = loop in (PRELUDE, CODA)
            yield from (
                Site(loop, layer) for layer in range(self.config.n_outside if outside else self.config.base_depth)
            )

    def tied(self, site: Site, n_loops: int) -> tuple[int, int]:
        """Return the tied block at a site of the loops, and how often it has run before.

        Where the repeats of a block follow one another, a loop is a stretch of so many blocks as there are tied ones.
        """
        depth = self.config.base_depth
        if self.config.sharing.endswith("cycle"):
            return site.layer, site.loop
        return divmod(site.loop * depth + site.layer, n_loops)


def check_capacity(config: RecursiveConfig, capacity: Sequence[float], n_loops: int, shared: Shared) -> None:
    """Raise InputError where the best tokens of a whole text cannot be chosen."""
    if config.routing != "expert":
        raise InputError(f"capacity with routing {config.routing!r}: experts alone choose a share of the text")
    if len(capacity) != n_loops or not all(0 < share <= 1 for share in capacity):
        raise InputError(f"capacity {list(capacity)}: give a share above 0 and at most 1 for each of {n_loops} loops")
    if shared.cache is not None:
        raise InputError("capacity with a cache: the choice looks at the whole text; give use_cache=False")
    whole = torch.arange(shared.positions.shape[1], device=shared.positions.device)
    if not torch.equal(shared.positions, whole.expand_as(shared.positions)):
        raise InputError("capacity with padding: a share is of a whole text; give texts of one length")


def _added(config: RecursiveConfig, block: nn.Module) -> nn.ModuleDict:
    """Make what is added to the projections of a block at one depth."""
    scale = config.lora_alpha / config.lora_rank
    projections = {name.rpartition(".")[2]: part for name, part in block.named_modules() if isinstance(part, nn.Linear)}
    return nn.ModuleDict(
        {
            name: LowRank(projections[name].in_features, projections[name].out_features, config.lora_rank, scale)
            for name in config.lora_targets or []
        }
    )
