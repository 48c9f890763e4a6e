"""Feed-forward models: each supported type against transformers' own attention, and what is refused."""

from pathlib import Path

import pytest
import torch
from injected import bench_on, traced
from oracle import hooked
from safetensors.torch import load_file, save_file
from tiny import save_tiny, tiny_tokenizer
from tiny_feedforward import WINDOW, tiny_feedforward
from torch import Tensor, nn

from introspect.errors import InputError
from introspect.families.feedforward.model import FEED_FORWARD, FeedForwardLooped
from introspect.families.loading import load_model, peek
from introspect.families.registry import FAMILIES
from introspect.injection.prefix.prefix import inputs
from introspect.models.row_attention import attend
from introspect.models.row_cache import RowCache
from introspect.models.tap import Tap
from introspect.records.trial import Site

IDS = torch.randint(3, 256, (2, 9), generator=torch.Generator().manual_seed(1))
every_type = pytest.mark.parametrize("model_type", FEED_FORWARD)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for model_type in FEED_FORWARD:
        monkeypatch.setitem(FAMILIES, model_type, FeedForwardLooped)


@every_type
@torch.no_grad()
def test_sites_are_the_hidden_states_and_the_last_one_is_read_out_exactly(model_type: str) -> None:
    looped, states = tiny_feedforward(model_type), dict[Site, Tensor]()
    visits = {site: (lambda h, site=site: states.__setitem__(site, h.clone())) for site in looped.sites()}
    with hooked(looped, visits):
        output = looped.model(IDS, output_hidden_states=True, **looped.forward_arguments(1))
    assert list(states) == [Site(0, layer) for layer in range(3)]
    for site in looped.sites()[:-1]:  # transformers gives the last one behind its norm
        assert torch.equal(states[site], output.hidden_states[site.layer + 1])
    assert torch.equal(looped.readout(states[Site(0, 2)]), output.logits)


@pytest.mark.slow_after(8)
@every_type
@torch.no_grad()
def test_rows_that_share_a_beginning_attend_as_transformers_does(model_type: str) -> None:
    looped = tiny_feedforward(model_type, dtype=torch.float64)
    plain = tiny_feedforward(model_type, dtype=torch.float64).model
    plain.set_attn_implementation("eager")
    tap, begun, new = Tap(looped), looped.new_cache(), [7, 11]
    looped.model(IDS[:1, :3], past_key_values=begun)
    shared = (torch.cat([getattr(layer, part) for layer in begun.layers]) for part in ("keys", "values"))
    cache = RowCache(*shared, 2, 9)
    cache.aim(0, [0], 6)
    rest = tap.run({}, n_loops=1, **inputs(tap, IDS[:1, 3:].tolist(), [3], cache)).logits[0, -1]
    torch.testing.assert_close(rest, plain(IDS[:1]).logits[0, -1], rtol=1e-4, atol=1e-5)
    cache.aim(1, [0], 3)
    looped.model(**inputs(tap, IDS[1:, 3:6].tolist(), [3], cache))
    cache.aim(0, [6, 3], 1)
    both = looped.model(**inputs(tap, [new[:1], new[1:]], [9, 6], cache)).logits[:, -1]
    rows = [[*IDS[0].tolist(), new[0]], [*IDS[0, :3].tolist(), *IDS[1, 3:6].tolist(), new[1]]]
    for row, alone in zip(both, rows, strict=True):
        torch.testing.assert_close(row, plain(torch.tensor([alone])).logits[0, -1], rtol=1e-4, atol=1e-5)


@pytest.mark.slow_after(8)
@every_type
@torch.no_grad()
def test_rows_padded_on_the_left_and_cached_pieces_equal_the_whole_text(model_type: str) -> None:
    looped = tiny_feedforward(model_type, dtype=torch.float64)
    whole, cache = looped.model(IDS[:1]).logits, looped.new_cache()
    padded = torch.cat((torch.zeros(1, 4, dtype=torch.long), IDS[:1]), 1)
    mask = torch.tensor([[0] * 4 + [1] * 9])
    alone = looped.model(padded, attention_mask=mask).logits[:, 4:]
    torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-5)
    pieces = [looped.model(piece, past_key_values=cache).logits for piece in (IDS[:1, :5], IDS[:1, 5:8], IDS[:1, 8:])]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.slow_after(8)
@every_type
@torch.no_grad()
def test_saving_and_loading_gives_bit_equal_logits_and_the_same_hash(model_type: str, tmp_path: Path) -> None:
    looped = tiny_feedforward(model_type, seed=3)
    folder = str(save_tiny(looped, tmp_path / "model"))
    loaded = load_model(folder, device="cpu")
    assert torch.equal(loaded.model(IDS).logits, looped.model(IDS).logits)
    assert loaded.weights_hash == looped.weights_hash
    outline = peek(folder)
    assert (outline.n_loops, outline.layers["core"]) == (loaded.n_loops, loaded.n_layers) == (1, 3)
    half = load_model(folder, device="cpu", dtype="bfloat16")
    assert half.model(IDS).logits.isfinite().all()


@pytest.mark.slow_after(8)
@every_type
@torch.no_grad()
def test_an_addition_at_a_site_changes_what_follows_and_nothing_before(model_type: str) -> None:
    looped, tap = tiny_feedforward(model_type), Tap(tiny_feedforward(model_type))
    runs: list[dict[Site, Tensor]] = []
    for amount in (0.0, 1.0):
        states: dict[Site, Tensor] = {}

        def visit(h: Tensor, site: Site, amount: float = amount, states: dict[Site, Tensor] = states) -> None:
            h[:, 5] += amount * (site == Site(0, 1)) * torch.arange(32)
            states[site] = h.clone()

        visits = {site: (lambda h, site=site, visit=visit: visit(h, site)) for site in looped.sites()}
        with hooked(looped, visits):
            logits = looped.model(IDS).logits
        assert torch.equal(tap.run(visits, n_loops=1, input_ids=IDS).logits, logits)
        runs.append(states | {Site(1, 0): logits})
    clean, changed = runs
    assert torch.equal(clean[Site(0, 0)], changed[Site(0, 0)])
    for site in clean:
        assert torch.equal(clean[site][:, :5], changed[site][:, :5])
        assert torch.equal(clean[site][:, 5:], changed[site][:, 5:]) == (site == Site(0, 0))


@torch.no_grad()
def test_a_window_hides_what_lies_before_it() -> None:
    """Change the first token: beyond three windows of three blocks nothing moves, within them something does."""
    looped = tiny_feedforward("mistral", dtype=torch.float64)
    texts = [torch.randint(3, 256, (1, 16), generator=torch.Generator().manual_seed(seed)) for seed in (0, 0)]
    texts[1][0, 0] += 1
    before, after = (looped.model(text).logits for text in texts)
    reach = 3 * (WINDOW - 1)
    assert torch.equal(before[:, reach + 1 :], after[:, reach + 1 :])
    assert not torch.equal(before[:, reach], after[:, reach])


@pytest.mark.parametrize(
    "more",
    [{"softcap": 50.0}, {"s_aux": torch.zeros(2)}, {"position_bias": torch.zeros(1)}, {"is_causal": False}],
)
def test_an_attention_of_another_kind_is_refused_loudly(more: dict[str, object]) -> None:
    x = torch.zeros(1, 2, 3, 4)
    with pytest.raises(ValueError, match=next(iter(more))):
        attend(nn.Module(), x, x, x, None, scaling=1.0, **more)


def test_what_changes_nothing_is_passed_over() -> None:
    x = torch.zeros(1, 2, 3, 4)
    attend(nn.Module(), x, x, x, None, scaling=1.0, dropout=0.0, position_ids=torch.zeros(1), use_cache=True)


@pytest.mark.parametrize("n_loops", [0, 2])
def test_any_number_of_loops_but_one_is_refused(n_loops: int) -> None:
    looped = tiny_feedforward()
    with pytest.raises(InputError, match="is a feed-forward model: it runs its blocks once"):
        looped.forward_arguments(n_loops)
    with pytest.raises(InputError, match="is a feed-forward model"):
        looped.cache_shape(n_loops)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": "llama", "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "rope type 'dynamic'"),
        ({"model_type": "gpt2", "reorder_and_upcast_attn": True}, "reorder_and_upcast_attn is true"),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, "use_bidirectional_attention is true"),
    ],
)
def test_settings_that_compute_something_else_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FeedForwardLooped.config_of(settings)


@pytest.mark.parametrize(
    ("model_type", "extra"),
    [("gpt_neox", "gpt_neox.layers.0.attention.bias"), ("gpt2", "transformer.h.0.attn.bias")],
)
def test_masks_that_old_checkpoints_hold_as_weights_are_passed_over(
    model_type: str, extra: str, tmp_path: Path
) -> None:
    folder = save_tiny(tiny_feedforward(model_type), tmp_path / "model")
    weights = load_file(folder / "model.safetensors") | {extra: torch.ones(1, 1, 4, 4)}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert load_model(str(folder), device="cpu").weights_hash == tiny_feedforward(model_type).weights_hash


def test_buffers_that_are_not_what_the_config_says_do_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny(tiny_feedforward(), tmp_path / "model")
    wrong = {f"model.rotary_emb.{name}inv_freq": torch.ones(4) for name in ("", "original_")}
    monkeypatch.setattr(FeedForwardLooped, "computed_buffers", staticmethod(lambda _: wrong))
    with pytest.raises(InputError, match="is not what the config says"):
        load_model(str(folder), device="cpu")


def test_a_base_model_is_asked_in_plain_text() -> None:
    bare = tiny_tokenizer()
    bare.chat_template = None
    looped = FeedForwardLooped("bare", tiny_feedforward().model, bare)
    assert looped.chat_format == "plain"
    assert looped.chat([{"role": "user", "content": "Do you?"}]) == "User: Do you?\nAssistant:"


@pytest.mark.slow_after(8)
@every_type
@torch.no_grad()
def test_a_forward_that_goes_on_behind_a_site_is_the_whole_one_bit_for_bit(model_type: str) -> None:
    looped = tiny_feedforward(model_type, dtype=torch.float64)
    tap, states = Tap(looped), dict[Site, Tensor]()
    visits = {site: (lambda h, site=site: states.__setitem__(site, h.clone())) for site in looped.sites()}
    whole = tap.run(visits, input_ids=IDS, use_cache=False).logits
    ran: list[nn.Module] = []
    for block in looped.blocks:
        block.register_forward_pre_hook(lambda block, _: ran.append(block))
    for site in looped.sites():
        seen: list[Site] = []
        later = {at: (lambda _, at=at, seen=seen: seen.append(at)) for at in looped.sites() if at > site}
        rest = tap.run(later, after=(site, states), use_cache=False)
        assert torch.equal(rest.logits, whole), site
        assert seen == list(later)
    assert ran == [*looped.blocks[1:], *looped.blocks[2:]]


@pytest.mark.slow_after(8)
@every_type
def test_trials_run_no_block_in_vain(model_type: str) -> None:
    on = traced(bench_on(tiny_feedforward(model_type), loops=(1,)))
    for trial in on.mixed(seed=4, n=6):  # alone, since answers of unequal length are filled up when they are read again
        on.engine.run([trial])
    assert on.engine.work.done == on.engine.work.least
