"""Theorems about rows that share a beginning: the attention is the usual one, and rows are where they belong."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from introspect.models.looped_model import SiteError
from introspect.models.row_attention import Part, attend
from introspect.models.row_cache import RowCache
from introspect.models.tap import Tap
from introspect.records.trial import Site
from tests.tiny import tiny_model

SLOTS, KV_HEADS, SIZE = 2, 2, 4


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend as torch does, the last positions of one row being asked."""
    times = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(times, dim=1) for x in (key, value))
    new, seen = query.shape[2], key.shape[2]
    mask = torch.ones(new, seen, dtype=torch.bool).tril(seen - new)
    return nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=0.3)


def attended(query: Tensor, key: Part, value: Part) -> Tensor:
    return attend(nn.Module(), query, key, value, None, scaling=0.3)[0].transpose(1, 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.lists(st.integers(0, 4), min_size=1, max_size=5), st.sampled_from([2, 4]), st.data())
def test_rows_attend_as_if_each_had_a_copy_of_the_beginning(
    beginning: int, filled: list[int], heads: int, data: st.DataObject
) -> None:
    torch.manual_seed(0)
    new = data.draw(st.integers(1, 3)) if len(set(filled)) == 1 else 1
    shared = noise(SLOTS, KV_HEADS, beginning, SIZE), noise(SLOTS, KV_HEADS, beginning, SIZE)
    first = data.draw(st.integers(0, 2))
    cache = RowCache(*shared, first + len(filled), 7)
    histories = []
    for row, n in enumerate(filled):
        history = noise(2, 1, KV_HEADS, n, SIZE)
        histories.append(history)
        for column in range(n):
            cache.aim(first + row, [column], 1)
            cache.update(*history[..., column : column + 1, :], 1)
    cache.aim(first, filled, new)
    fresh = noise(2, len(filled), KV_HEADS, new, SIZE)
    query = noise(len(filled), heads, new, SIZE)
    out = attended(query, *cache.update(*fresh, 1))
    for row, history in enumerate(histories):
        key, value = (
            torch.cat((begin[1][None], had, now[row : row + 1]), dim=2)
            for begin, had, now in zip(shared, history, fresh, strict=True)
        )
        assert torch.allclose(out[row : row + 1], plain(query[row : row + 1], key, value), atol=1e-12)


def test_a_row_that_is_moved_keeps_what_it_holds() -> None:
    cache = RowCache(noise(SLOTS, KV_HEADS, 1, SIZE), noise(SLOTS, KV_HEADS, 1, SIZE), 3, 4)
    for own in cache.own:
        own.copy_(noise(*own.shape))
    before = [own.clone() for own in cache.own]
    cache.move([2], [0])
    for own, was in zip(cache.own, before, strict=True):
        assert torch.equal(own[:, 0], was[:, 2])
        assert torch.equal(own[:, 1:], was[:, 1:])


def test_a_forward_behind_a_site_goes_on_as_the_whole_one_did() -> None:
    looped = tiny_model(0, dtype=torch.float64)
    tap, ids = Tap(looped), torch.tensor([[5, 9, 4, 8]])
    states: dict[Site, Tensor] = {}
    sites = looped.sites(3)
    whole = tap.run({site: _keeper(states, site) for site in sites}, n_loops=3, input_ids=ids).logits
    for index, site in enumerate(sites):
        again: dict[Site, Tensor] = {}
        visits = {later: _keeper(again, later) for later in sites[index + 1 :]}
        resumed = tap.run(visits, n_loops=3, after=(site, states), use_cache=False).logits
        assert torch.equal(resumed, whole)
        assert all(torch.equal(h, states[later]) for later, h in again.items())
        with pytest.raises(SiteError, match=f"site {site}: the forward begins behind it"):
            tap.run({site: _keeper(again, site)}, n_loops=3, after=(site, states), use_cache=False)


def _keeper(states: dict[Site, Tensor], site: Site):
    return lambda h: states.__setitem__(site, h.clone())


def test_a_row_that_begins_anew_holds_nothing_of_what_was_there() -> None:
    shared = noise(SLOTS, KV_HEADS, 1, SIZE), noise(SLOTS, KV_HEADS, 1, SIZE)
    clean, cache = RowCache(*shared, 1, 3), RowCache(*shared, 2, 5)
    for own in clean.own:
        own.copy_(noise(*own.shape))
    for own in cache.own:
        own.fill_(float("nan"))
    cache.aim(1, [0], 3)
    cache.begin_like(clean, 2, 3)
    for own, begun in zip(cache.own, clean.own, strict=True):
        assert torch.equal(own[:, 1:, :, :3], begun)
        assert (own[:, 1, :, 3:] == 0).all()
        assert own[:, 0].isnan().all()


@pytest.mark.parametrize("slots", [0, 1, 2])
def test_slots_that_lie_apart_hold_what_slots_that_lie_together_hold(slots: int) -> None:
    shared = noise(SLOTS, KV_HEADS, 2, SIZE), noise(SLOTS, KV_HEADS, 2, SIZE)
    clean = RowCache(*shared, 1, 3)
    caches = [RowCache(*shared, 4, 6, apart=apart) for apart in (False, True)]
    others = RowCache(*shared, 2, 3)
    for own in (*clean.own, *others.own):
        own.copy_(noise(*own.shape))
    fresh = [noise(2, 4, KV_HEADS, 1, SIZE) for _ in range(SLOTS)]
    for cache in caches:
        cache.aim(1, [0], 3)
        cache.begin_like(clean, slots, 2)
        cache.aim(2, [0, 0], 3)
        cache.take(others, [1, 0], 3)
        cache.move([3], [0])
        cache.aim_at(torch.tensor([3, 2, 4, 5]))
    for slot, new in enumerate(fresh):
        together, apart = (cache.update(*new, slot) for cache in caches)
        query = noise(4, 4, 1, SIZE)
        assert torch.equal(attended(query, *together), attended(query, *apart))
    for together, apart in zip(*(cache.own for cache in caches), strict=True):
        assert torch.equal(together, torch.stack(apart))
        assert not together[slots:, 1, :, :2].any(), "only the first slots begin like another's"
    assert len({own.untyped_storage().data_ptr() for part in caches[1].own for own in part}) == 2 * SLOTS
    assert caches[0].rows == caches[1].rows == 4
