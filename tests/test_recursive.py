"""Recursive transformers and mixtures of recursions against an independent reference, caches, padding, read-out."""

import math
from pathlib import Path

import pytest
import torch
from oracle import hooked
from tiny import save_tiny
from tiny_recursive import tiny_recursive
from torch import Tensor, nn
from torch.nn.functional import silu, softmax

from introspect.errors import InputError
from introspect.families.loading import load_model
from introspect.families.recursive.adapter import RecursiveLooped
from introspect.families.recursive.config import RecursiveConfig
from introspect.families.registry import FAMILIES
from introspect.injection.prefix.prefix import inputs
from introspect.models.looped_model import SiteError
from introspect.models.row_cache import RowCache
from introspect.models.tap import Tap
from introspect.records.trial import CODA, PRELUDE, Site

KINDS: dict[str, dict[str, object]] = {
    "cycle": {},
    "sequence": {"sharing": "sequence"},
    "middle_cycle": {"sharing": "middle_cycle"},
    "middle_sequence": {"sharing": "middle_sequence"},
    "relaxed": {"lora_rank": 4, "sharing": "middle_cycle"},
    "relaxed sequence": {"lora_rank": 4, "sharing": "sequence", "lora_targets": ["q_proj", "v_proj"]},
    "token": {"routing": "token"},
    "token unweighted": {"routing": "token", "gating": "none", "sharing": "middle_cycle"},
    "expert": {"routing": "expert", "router_alpha": 0.7, "router_temp": 2.0},
    "token sharing": {"routing": "token", "kv_sharing": "sharing"},
    "expert recursion": {
        "routing": "expert",
        "kv_sharing": "recursion",
        "seed": 1,
        "router_alpha": 0.7,
        "router_temp": 2.0,
    },
    "expert sharing": {"routing": "expert", "kv_sharing": "sharing"},
    "expert second": {"routing": "expert", "route_first": False, "sharing": "middle_cycle", "lora_rank": 2},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def random_ids(rows: int = 2, tokens: int = 9, seed: int = 0) -> Tensor:
    return torch.randint(3, 256, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def made(kind: str, dtype: torch.dtype = torch.float64) -> RecursiveLooped:
    return tiny_recursive(dtype=dtype, **KINDS[kind])


def loops(kind: str) -> tuple[int, ...]:
    return (1, 2, 3) if "routing" in KINDS[kind] or "lora_rank" in KINDS[kind] else (1, 2, 3, 5)


class Reference:
    """One text, computed token by token from what the papers say; nothing of the modules' code is shared."""

    def __init__(
        self,
        weights: dict[str, Tensor],
        config: RecursiveConfig,
        ids: list[int],
        n_loops: int,
        capacity: tuple[float, ...] | None = None,
    ) -> None:
        self.weights, self.config, self.n_loops, self.capacity = weights, config, n_loops, capacity
        self.keys: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        self.states: list[Tensor] = []
        self.routed: list[list[bool]] = []
        h = weights["model.embed_tokens.weight"][ids]
        outside = config.sharing.startswith("middle")
        h = self.block(h, "prelude.0", None, None) if outside else h
        self.original, self.taking = h, [True] * len(ids)
        for loop in range(n_loops):
            h = self.loop(h, loop)
            self.states.append(h)
        h = self.block(h, "coda.0", None, None) if outside else h
        self.logits = self.norm(h, "norm") @ weights["lm_head.weight"].T

    def loop(self, h: Tensor, loop: int) -> Tensor:
        config, start = self.config, h
        begun, weight, leaving = self.asked(h, loop)
        self.routed.append(begun)
        for layer in range(config.base_depth):
            position = loop * config.base_depth + layer
            if "cycle" in config.sharing:
                block, repeat = layer, loop
            else:
                block, repeat = position // self.n_loops, position % self.n_loops
            h = self.block(h, f"layers.{block}", (repeat, block), begun)
        rows = []
        for t in range(h.shape[0]):
            if config.routing == "none":
                rows.append(h[t])
            elif not begun[t]:
                rows.append(start[t])
            elif not leaving[t]:
                rows.append(h[t])
            else:
                by = weight[t] * config.router_alpha if config.gating == "weighted" else 1.0
                rows.append((start if config.routing == "expert" else self.original)[t] + h[t] * by)
        return torch.stack(rows)

    def asked(self, h: Tensor, loop: int) -> tuple[list[bool], list[float], list[bool]]:
        """Return who is run, by what the result is weighted, and for whom the result is added to the state."""
        config, everyone = self.config, [True] * h.shape[0]
        if config.routing == "token":
            said = softmax(self.original @ self.weights["model.routers.0.weight"].T / config.router_temp, -1)
            chosen = said.argmax(-1).tolist()
            return [c >= loop for c in chosen], said.max(-1).values.tolist(), [c == loop for c in chosen]
        router = loop - (not config.route_first)
        if config.routing == "none" or router < 0:
            return everyone, [1.0] * h.shape[0], [False] * h.shape[0]
        said = (h @ self.weights[f"model.routers.{router}.weight"][0] / config.router_temp).sigmoid().tolist()
        if self.capacity is None:
            enough = [p >= 0.5 for p in said]
        else:
            best = sorted((t for t, was in enumerate(self.taking) if was), key=lambda t: said[t], reverse=True)
            enough = [t in best[: max(1, int(self.capacity[loop] * len(said)))] for t in range(len(said))]
        self.taking = [was and p for was, p in zip(self.taking, enough, strict=True)]
        return self.taking, said, everyone

    def norm(self, h: Tensor, name: str) -> Tensor:
        gain = self.weights[f"model.{name}.weight"]
        return gain * h / (h.pow(2).mean(-1, keepdim=True) + self.config.rms_norm_eps).sqrt()

    def block(self, h: Tensor, name: str, at: tuple[int, int] | None, run: list[bool] | None) -> Tensor:
        config = self.config

        def linear(x: Tensor, part: str) -> Tensor:
            short = part.rpartition(".")[2]
            matrix = self.weights[f"model.{name}.{part}.weight"]
            if at is not None and config.lora_rank and short in config.lora_targets:
                first, second = (self.weights[f"model.loras.{at[0]}.{at[1]}.{short}.lora_{i}"] for i in "AB")
                matrix = matrix + config.lora_alpha / config.lora_rank * second @ first
            return x @ matrix.T

        x, size = self.norm(h, f"{name}.input_layernorm"), config.head_dim
        q, k, v = (linear(x, f"self_attn.{part}_proj").unflatten(-1, (-1, size)) for part in "qkv")
        q, k = self.rotated(q), self.rotated(k)
        if run is not None and config.routing != "none":
            first = self.keys.setdefault((name, 0), (k.clone(), v.clone()))
            for t, runs in enumerate(run):
                if config.kv_sharing == "sharing" or (config.kv_sharing == "hybrid" and not runs):
                    k[t], v[t] = (each[t] for each in first)
        group, heads = q.shape[1] // k.shape[1], []
        for head in range(q.shape[1]):
            scores = q[:, head] @ k[:, head // group].T / size**0.5
            scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
            if run is not None and config.routing != "none" and config.kv_sharing == "recursion":
                unseen = ~torch.tensor(run)[None] & ~torch.eye(
                    len(run), dtype=torch.bool
                )  # what sees itself is no matter
                scores = scores.masked_fill(unseen, -torch.inf)
            heads.append(softmax(scores, -1) @ v[:, head // group])
        h = h + linear(torch.cat(heads, -1), "self_attn.o_proj")
        x = self.norm(h, f"{name}.post_attention_layernorm")
        return h + linear(silu(linear(x, "mlp.gate_proj")) * linear(x, "mlp.up_proj"), "mlp.down_proj")

    def rotated(self, x: Tensor) -> Tensor:
        half, out = x.shape[-1] // 2, torch.empty_like(x)
        for position in range(x.shape[0]):
            for i in range(half):
                angle = position * self.config.rope_parameters["rope_theta"] ** (-i / half)
                a, b = x[position, :, i], x[position, :, i + half]
                out[position, :, i] = a * math.cos(angle) - b * math.sin(angle)
                out[position, :, i + half] = b * math.cos(angle) + a * math.sin(angle)
        return out


@pytest.mark.slow_after(6)
@every_kind
@torch.no_grad()
def test_states_logits_and_routes_equal_the_plain_reference(kind: str) -> None:
    looped, ids = made(kind), random_ids()
    weights, config = looped.model.state_dict(), looped.model.config
    for n_loops in loops(kind):
        output = looped.model(ids, **looped.forward_arguments(n_loops))
        for row, text in enumerate(ids.tolist()):
            plain = Reference(weights, config, text, n_loops)
            for state, expected in zip(output.loop_states, plain.states, strict=True):
                torch.testing.assert_close(state[row], expected, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(output.logits[row], plain.logits, rtol=1e-10, atol=1e-10)
            if config.routing == "none":
                assert output.routed is None
            else:
                assert output.routed[:, row].tolist() == plain.routed
        if config.routing != "none":
            last = output.routed[-1]
            assert n_loops == 1 or (last.any() and not last.all())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("expert")])
@pytest.mark.parametrize("capacity", [(1.0, 2 / 3, 1 / 3), (0.5, 0.9, 0.01)])
@torch.no_grad()
def test_with_a_capacity_each_loop_runs_the_best_tokens_of_the_whole_text(
    kind: str, capacity: tuple[float, ...]
) -> None:
    looped, ids = made(kind), random_ids()
    output = looped.model(ids, n_loops=3, capacity=capacity, use_cache=False)
    for row, text in enumerate(ids.tolist()):
        plain = Reference(looped.model.state_dict(), looped.model.config, text, 3, capacity)
        torch.testing.assert_close(output.logits[row], plain.logits, rtol=1e-10, atol=1e-10)
        assert output.routed[:, row].tolist() == plain.routed
    assert (output.routed[1:] != looped.model(ids, n_loops=3, use_cache=False).routed[1:]).any()


@torch.no_grad()
def test_a_capacity_that_cannot_be_kept_is_refused() -> None:
    looped, ids = made("expert"), random_ids()
    for said, given in {
        "each of 3 loops": {"capacity": (1.0, 0.5)},
        "each of 3 loops: ": {"capacity": (1.0, 0.5, 0.0)},
        "use_cache=False": {"use_cache": True},
        "texts of one length": {"attention_mask": torch.tensor([[0] * 2 + [1] * 7, [1] * 9])},
    }.items():
        with pytest.raises(InputError, match=said.rstrip(": ")):
            looped.model(ids, **{"n_loops": 3, "capacity": (1.0, 0.5, 0.5), "use_cache": False} | given)
    with pytest.raises(InputError, match="experts alone"):
        made("token").model(ids, n_loops=3, capacity=(1.0, 0.5, 0.5), use_cache=False)


@every_kind
@torch.no_grad()
def test_cached_pieces_and_rows_padded_on_the_left_equal_the_whole_text(kind: str) -> None:
    looped, ids = made(kind), random_ids()
    for n_loops in loops(kind):
        arguments, cache = looped.forward_arguments(n_loops), looped.new_cache()
        whole = looped.model(ids, **arguments).logits
        pieces = [
            looped.model(ids[:, a:b], past_key_values=cache, **arguments).logits for a, b in ((0, 4), (4, 8), (8, 9))
        ]
        torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=1e-10, atol=1e-10)
        assert len(cache.layers) == len(looped.sites(n_loops))
        assert cache.layers[0].keys.shape[1::2] == looped.cache_shape(n_loops)[1:]
        padded = torch.cat((torch.zeros(2, 3, dtype=torch.long), ids), 1)
        mask = torch.tensor([[0] * 3 + [1] * 9, [1] * 12])
        alone = looped.model(padded, attention_mask=mask, **arguments).logits[0, 3:]
        torch.testing.assert_close(alone, whole[0], rtol=1e-10, atol=1e-10)


@every_kind
@torch.no_grad()
def test_rows_that_share_a_beginning_equal_the_rows_alone(kind: str) -> None:
    looped, ids, begun = made(kind), random_ids(), made(kind).new_cache()
    tap = Tap(looped)
    looped.model(ids[:1, :3], past_key_values=begun)
    shared = (torch.cat([getattr(layer, part) for layer in begun.layers]) for part in ("keys", "values"))
    cache = RowCache(*shared, 2, 9)
    for row, new in ((0, 6), (1, 4)):
        cache.aim(row, [0], new)
        looped.model(**inputs(tap, ids[row : row + 1, 3 : 3 + new].tolist(), [3], cache))
    cache.aim(0, [6, 4], 1)
    both = looped.model(**inputs(tap, [[7], [11]], [9, 7], cache)).logits[:, -1]
    rows = [[*ids[0].tolist(), 7], [*ids[0, :3].tolist(), *ids[1, 3:7].tolist(), 11]]
    for row, alone in zip(both, rows, strict=True):
        torch.testing.assert_close(row, looped.model(torch.tensor([alone])).logits[0, -1], rtol=1e-10, atol=1e-10)


@every_kind
@torch.no_grad()
def test_the_readout_after_a_loop_is_what_a_model_of_so_many_loops_says(kind: str) -> None:
    looped, ids = made(kind), random_ids()
    states = visited(looped, ids, 3)
    for loop in range(3):
        said = looped.readout(states[Site(loop, 1)])
        if loop < 2 and kind.endswith("sequence"):
            continue  # so many loops are other stretches of the depth there
        whole = looped.model(ids, **looped.forward_arguments(loop + 1)).logits
        torch.testing.assert_close(said, whole, rtol=1e-10, atol=1e-10)


@every_kind
@torch.no_grad()
def test_a_forward_behind_a_site_goes_on_as_the_whole_one_did(kind: str) -> None:
    looped = made(kind)
    tap, ids = Tap(looped), random_ids()
    states, whole = visited(looped, ids, 3), looped.model(ids).logits
    assert list(states) == looped.sites(3)
    for site in states:
        if looped.model.config.routing != "none":
            assert looped.resume_arguments(site, states) is None
            continue
        assert torch.equal(tap.run({}, n_loops=3, after=(site, states), use_cache=False).logits, whole)


@every_kind
@torch.no_grad()
def test_an_addition_reaches_what_follows_and_nothing_before(kind: str) -> None:
    looped, ids = made(kind), random_ids()
    routed = looped.model(ids).routed
    clean = visited(looped, ids, 3)
    for site in looped.sites(3):
        changed = visited(looped, ids, 3, at=site)
        later = looped.sites(3)[looped.sites(3).index(site) :]
        for other in looped.sites(3):
            assert torch.equal(clean[other][:, :4], changed[other][:, :4])
            if other not in later:
                assert torch.equal(clean[other], changed[other])
        assert not torch.equal(clean[site][:, 4], changed[site][:, 4])
        if routed is None and site != later[-1]:
            assert all((clean[other][:, 4] != changed[other][:, 4]).any(-1).all() for other in later)


@pytest.mark.parametrize("kind", ["token", "token unweighted", "expert", "expert second"])
@torch.no_grad()
def test_an_addition_to_a_token_that_a_later_loop_does_not_run_is_lost(kind: str) -> None:
    looped, ids = made(kind), random_ids()
    tap, output = Tap(looped), looped.model(ids)
    reached = set()
    for loop in (1, 2):
        for layer in range(2):
            for row in range(2):
                for position in range(9):

                    def push(h: Tensor, row: int = row, position: int = position) -> None:
                        h[row, position] += torch.arange(32)

                    logits = tap.run({Site(loop, layer): push}, n_loops=3, input_ids=ids).logits
                    run = bool(output.routed[loop, row, position])
                    assert torch.equal(logits, output.logits) != run
                    reached.add(run)
    assert reached == {True, False}


def visited(looped: RecursiveLooped, ids: Tensor, n_loops: int, at: Site | None = None) -> dict[Site, Tensor]:
    """Return the live output of every site, one of them pushed, by plain hooks that count the calls of each block."""
    states: dict[Site, Tensor] = {}
    calls: dict[nn.Module, int] = {}
    places = {looped.locate(site, n_loops): site for site in looped.sites(n_loops)}

    def visit(block: nn.Module, _: object, h: Tensor) -> None:
        calls[block] = calls.get(block, -1) + 1
        site = places[block, calls[block]]
        if site == at:
            h[:, 4] += torch.arange(32)
        states[site] = h.clone()

    blocks = [*looped.prelude, *looped.blocks, *looped.coda]
    handles = [block.register_forward_hook(visit) for block in blocks]
    looped.model(ids, n_loops=n_loops)
    for handle in handles:
        handle.remove()
    return states


@torch.no_grad()
def test_the_taps_sites_are_the_calls_of_the_tied_blocks() -> None:
    looped, ids, ran = made("cycle"), random_ids(), dict[Site, Tensor]()
    with hooked(looped, {site: (lambda h, site=site: ran.__setitem__(site, h.clone())) for site in looped.sites(3)}):
        looped.model(ids)
    states = visited(looped, ids, 3)
    assert all(torch.equal(ran[site], states[site]) for site in looped.sites(3))
    assert made("sequence").locate(Site(1, 0), 3)[1] == 2
    assert made("middle_cycle").sites(1) == [Site(PRELUDE, 0), Site(0, 0), Site(0, 1), Site(CODA, 0)]
    with pytest.raises(SiteError, match="site 3:0"):
        made("sequence").locate(Site(3, 0), 3)


@every_kind
@torch.no_grad()
def test_saving_and_loading_gives_bit_equal_logits_and_the_same_hash(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, "recursive_llama", RecursiveLooped)
    looped = made(kind, torch.float32)
    loaded = load_model(str(save_tiny(looped, tmp_path / "model")), device="cpu")
    assert torch.equal(loaded.model(random_ids()).logits, looped.model(random_ids()).logits)
    assert loaded.weights_hash == looped.weights_hash
    half = load_model(str(tmp_path / "model"), device="cpu", dtype="bfloat16")
    assert half.model(random_ids()).logits.isfinite().all()
    assert looped.model.generate(random_ids(1), max_new_tokens=2, n_loops=2, do_sample=False).shape[0] == 1


@pytest.mark.parametrize(
    ("kind", "message"), [("token", "3 learned have no routers"), ("expert", "routers"), ("relaxed", "LoRA weights")]
)
def test_loops_that_nothing_was_learned_for_are_refused(kind: str, message: str) -> None:
    with pytest.raises(InputError, match=f"n_loops 4: loops beyond the .*{message}"):
        made(kind).forward_arguments(4)
    with pytest.raises(InputError, match="at least 1"):
        made(kind).forward_arguments(0)


def test_routed_models_are_not_taken_for_those_that_kept_the_loop_before() -> None:
    """Their weights hash was another then; that of a model without routers stays what it was."""
    assert set(made("expert").described()) - set(made("cycle").described()) == {"kept"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sharing": "loop"}, "unknown sharing 'loop'"),
        ({"num_recursion": 4}, "num_recursion 4: the 6 tied layers"),
        ({"num_recursion": 0}, "num_recursion 0"),
        ({"routing": "top"}, "unknown routing 'top'"),
        ({"routing": "token", "sharing": "sequence"}, "tokens are routed in cycles only"),
        ({"kv_sharing": "none"}, "unknown kv_sharing 'none'; known: recursion"),
        ({"routing": "token", "kv_sharing": "hybrid"}, "kv_sharing 'hybrid' with routing 'token'"),
        ({"gating": "half"}, "unknown gating 'half'"),
        ({"lora_targets": ["lm_head"]}, "unknown lora target 'lm_head'"),
        ({"lora_rank": -1}, "lora_rank -1"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "rope type 'yarn'"),
        ({"num_attention_heads": 3, "num_key_value_heads": 2}, "no multiple"),
    ],
)
def test_configs_that_contradict_themselves_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny_recursive(**fields)
