"""Layers that are looped without training: every type and step against a loop written out over transformers' layers."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
import torch
from injected import bench_on, traced
from oracle import hooked
from tiny_training_free import tiny_training_free, without_loops
from torch import Tensor, nn
from transformers import PreTrainedModel

from introspect.families.feedforward.model import BLOCKS, FEED_FORWARD, FINAL_NORMS, FeedForwardLooped, part_of
from introspect.models.looped_layers import LOOP_STEPS
from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Tap
from introspect.records.trial import CODA, PRELUDE, Site
from tests.tiny import tiny_tokenizer

IDS = torch.randint(3, 256, (2, 9), generator=torch.Generator().manual_seed(1))
ROUNDING = 1e-10
"""Of float64."""
KINDS = ("llama", "gpt2", "gpt_neox", "gemma3_text", "phi", "cohere", "olmo2", "qwen3", "glm4")
"""Types that differ in positions, norms or what runs side by side; `make slow` has the others."""
every_type = pytest.mark.parametrize(
    "model_type", [each if each in KINDS else pytest.param(each, marks=pytest.mark.slow) for each in FEED_FORWARD]
)
every_step = pytest.mark.parametrize("step", LOOP_STEPS)


@torch.no_grad()
def written_out(
    plain: PreTrainedModel, step: str, n_loops: int, last: int | None = None, added: Mapping[Site, Tensor] | None = None
) -> Tensor:
    """Return logits of layers 1 and 2 of four looped, with what is added behind sites; `last` leaves out later loops.

    The layers are given what the model gives them when it runs as it is, and its head reads what they put out.
    """
    layers, (_, norm) = list(part_of(plain, BLOCKS)[1].children()), part_of(plain, FINAL_NORMS)
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    taken = [layer.register_forward_pre_hook(lambda _, *a: given.append(a), with_kwargs=True) for layer in layers]
    plain(IDS, use_cache=False)
    for hook in taken:
        hook.remove()

    def behind(site: Site, number: int, h: Tensor) -> Tensor:
        (_, *arguments), named = given[number]
        put_out = layers[number](h, *arguments, **named)
        if step == "damped" and site.stage == "core":
            put_out = h + (put_out - h) / n_loops
        return put_out + (added or {}).get(site, 0)

    h = behind(Site(PRELUDE, 0), 0, given[0][0][0])
    for loop in range(n_loops if last is None else last + 1):
        for layer in (0, 1):
            h = behind(Site(loop, layer), 1 + layer, h)
    h = behind(Site(CODA, 0), 3, h)
    read = norm.register_forward_pre_hook(lambda *_: (h,))
    logits: Tensor = plain(IDS, use_cache=False).logits
    read.remove()
    return logits


def run(looped: LoopedModel, n_loops: int, ids: Tensor = IDS, **inputs: Any) -> Tensor:
    with torch.no_grad():
        logits: Tensor = looped.model(ids, **looped.forward_arguments(n_loops), **inputs).logits
    return logits


@every_type
@every_step
def test_one_loop_is_the_model_as_it_was_bit_for_bit(model_type: str, step: str) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        plain = FeedForwardLooped(model_type, without_loops(model_type, dtype), tiny_tokenizer())
        assert torch.equal(run(tiny_training_free(model_type, step, dtype=dtype), 1), run(plain, 1))


@every_type
@every_step
def test_loops_are_a_loop_over_the_layers_as_are_their_read_outs(model_type: str, step: str) -> None:
    looped = tiny_training_free(model_type, step, dtype=torch.float64)
    plain = without_loops(model_type, torch.float64)
    close = partial(torch.testing.assert_close, rtol=0, atol=ROUNDING)
    for n_loops in (2, 3):
        states: dict[Site, Tensor] = {}
        visits = {site: partial(_keep, states, site) for site in looped.sites(n_loops)}
        with hooked(looped, visits):
            logits = run(looped, n_loops, use_cache=False)
        close(logits, written_out(plain, step, n_loops))
        assert list(states) == looped.sites(n_loops)
        for loop in range(n_loops):
            read = looped.readout(states[Site(loop, 1)], loop=loop, n_loops=n_loops)
            close(read, written_out(plain, step, n_loops, last=loop))
    assert not torch.allclose(run(looped, 2), run(looped, 3), atol=1e-3)


@every_type
def test_what_is_injected_is_added_behind_a_layer_after_damping(model_type: str) -> None:
    looped = tiny_training_free(model_type, dtype=torch.float64)
    push = torch.linspace(-1, 2, looped.d_model, dtype=torch.float64)
    added = {Site(PRELUDE, 0): push, Site(0, 0): 2 * push, Site(2, 1): -push, Site(CODA, 0): push}
    visits = {site: partial(_add, vector) for site, vector in added.items()}
    logits = Tap(looped).run(visits, n_loops=3, input_ids=IDS, use_cache=False).logits
    expected = written_out(without_loops(model_type, torch.float64), "damped", 3, added=added)
    torch.testing.assert_close(logits, expected, rtol=0, atol=ROUNDING)


@every_type
def test_rows_padded_on_the_left_and_cached_pieces_equal_the_whole_text(model_type: str) -> None:
    looped = tiny_training_free(model_type, dtype=torch.float64)
    whole, cache = run(looped, 3, IDS[:1]), looped.new_cache()
    padded, mask = nn.functional.pad(IDS[:1], (4, 0)), torch.tensor([[0] * 4 + [1] * 9])
    close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
    close(run(looped, 3, padded, attention_mask=mask)[:, 4:], whole)
    pieces = [run(looped, 3, piece, past_key_values=cache) for piece in IDS[:1].split((5, 3, 1), 1)]
    close(torch.cat(pieces, 1), whole)
    assert len(cache.layers) == 1 + 3 * 2 + 1


@every_type
@torch.no_grad()
def test_a_forward_that_goes_on_behind_a_site_is_the_whole_one_bit_for_bit(model_type: str) -> None:
    looped = tiny_training_free(model_type, dtype=torch.float64)
    tap, states, sites = Tap(looped), dict[Site, Tensor](), looped.sites(2)
    visits = {site: partial(_keep, states, site) for site in sites}
    whole = tap.run(visits, n_loops=2, input_ids=IDS, use_cache=False).logits
    ran: list[nn.Module] = []
    for layer in looped.closed[-4:]:
        layer.register_forward_pre_hook(lambda layer, _: ran.append(layer))
    for number, site in enumerate(sites):
        ran.clear()
        assert torch.equal(tap.run({}, n_loops=2, after=(site, states), use_cache=False).logits, whole), site
        assert len(ran) == len(sites) - number - 1


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "gemma3_text"])
def test_trials_run_no_layer_in_vain(model_type: str) -> None:
    on = traced(bench_on(tiny_training_free(model_type), loops=(1, 2)))
    for trial in on.mixed(seed=4, n=6):  # alone, since answers of unequal length are filled up when they are read again
        on.engine.run([trial])
    assert on.engine.work.done == on.engine.work.least


def _keep(states: dict[Site, Tensor], site: Site, h: Tensor) -> None:
    states[site] = h.clone()


def _add(vector: Tensor, h: Tensor) -> None:
    h += vector
