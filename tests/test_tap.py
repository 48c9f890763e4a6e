"""The tap against the oracle of plain hooks: the same visits in the same places, bit for bit, and nothing silent."""

from collections.abc import Callable

import pytest
import torch
from oracle import hooked
from tiny import tiny_model
from torch import Tensor, nn

from introspect.models.looped_model import LoopedModel, SiteError
from introspect.models.tap import Tap
from introspect.records.trial import Site

IDS = torch.randint(3, 256, (3, 6), generator=torch.Generator().manual_seed(0))
SITES = tiny_model().sites()


def adding(amount: float = 1.0, position: int = 2) -> Callable[[Tensor], None]:
    def visit(h: Tensor) -> None:
        h[:, position] += amount

    return visit


def recording(into: dict[Site, Tensor], looped: LoopedModel, n_loops: int) -> dict[Site, Callable[[Tensor], None]]:
    def visit_at(site: Site) -> Callable[[Tensor], None]:
        def visit(h: Tensor) -> None:
            into[site] = h.clone()

        return visit

    return {site: visit_at(site) for site in looped.sites(n_loops)}


@pytest.mark.parametrize("site", SITES, ids=str)
@torch.no_grad()
def test_an_addition_equals_the_oracle_and_leaves_all_before_it_bit_equal(site: Site) -> None:
    looped = tiny_model()
    clean: dict[Site, Tensor] = {}
    with hooked(looped, recording(clean, looped, 3)):
        looped.model(IDS)
    with hooked(looped, {site: adding()}):
        expected = looped.model(IDS).logits
    seen: dict[Site, Tensor] = {}
    visits = recording(seen, looped, 3)
    record = visits[site]

    def record_and_add(h: Tensor) -> None:
        record(h)
        adding()(h)

    output = Tap(looped).run({**visits, site: record_and_add}, input_ids=IDS)
    assert torch.equal(output.logits, expected)
    for other in SITES:
        assert torch.equal(seen[other], clean[other]) == (other <= site)


@pytest.mark.parametrize("n_loops", [1, 2, 3, 5])
@torch.no_grad()
def test_recording_every_site_equals_the_oracle_and_changes_nothing(n_loops: int) -> None:
    looped = tiny_model()
    expected: dict[Site, Tensor] = {}
    with hooked(looped, recording(expected, looped, n_loops)):
        logits = looped.model(IDS, n_loops=n_loops).logits
    seen: dict[Site, Tensor] = {}
    output = Tap(looped).run(recording(seen, looped, n_loops), n_loops=n_loops, input_ids=IDS)
    assert torch.equal(output.logits, logits)
    assert list(seen) == list(expected) == looped.sites(n_loops)
    assert all(torch.equal(seen[site], expected[site]) for site in expected)


@torch.no_grad()
def test_visits_are_paid_in_running_order_however_the_plan_is_ordered() -> None:
    seen: list[Site] = []
    plan = {site: lambda _, site=site: seen.append(site) for site in reversed(SITES)}
    Tap(tiny_model()).run(plan, input_ids=IDS)
    assert seen == SITES


@torch.no_grad()
def test_a_plain_forward_through_a_tap_is_the_models_own() -> None:
    looped = tiny_model()
    expected = looped.model(IDS, n_loops=2).logits
    assert torch.equal(Tap(looped).run({}, n_loops=2, input_ids=IDS).logits, expected)
    assert torch.equal(looped.model(IDS, n_loops=2).logits, expected)


def test_duplicate_rows_add_up() -> None:
    looped = tiny_model()
    rows, columns = torch.tensor([1, 1]), torch.tensor([3, 3])
    vectors = torch.ones(2, looped.d_model)
    before, after = [], []

    def inject(h: Tensor) -> None:
        before.append(h.clone())
        h.index_put_((rows, columns), vectors, accumulate=True)
        after.append(h.clone())

    Tap(looped).run({Site(1, 0): inject}, input_ids=IDS)
    change = torch.zeros_like(before[0])
    change[1, 3] = 2.0
    assert torch.equal(after[0], before[0] + change)


@pytest.mark.parametrize("site", [Site(3, 0), Site(0, 2)], ids=str)
def test_a_site_that_does_not_exist_raises_before_anything_is_run(site: Site) -> None:
    looped, cache = tiny_model(), tiny_model().new_cache()
    with pytest.raises(SiteError, match=f"site {site}"):
        Tap(looped).run({Site(0, 0): adding(), site: adding()}, input_ids=IDS, past_key_values=cache)
    assert cache.get_seq_length() == 0


def test_a_site_beyond_the_loops_of_this_forward_raises() -> None:
    tap = Tap(tiny_model())
    with pytest.raises(SiteError, match="site 2:1"):
        tap.run({Site(2, 1): adding()}, n_loops=2, input_ids=IDS)


@pytest.mark.filterwarnings("ignore:.*was never reached")
@pytest.mark.parametrize("unreached", [Site(3, 0), Site(3, 1)], ids=str)
def test_a_planned_site_that_the_forward_never_reaches_raises(unreached: Site) -> None:
    looped = tiny_model(n_loops=4)
    looped.forward_arguments = lambda _: {"n_loops": 3}  # a family that runs fewer loops than it says
    with pytest.raises(SiteError, match=str(unreached)):
        Tap(looped).run({Site(0, 0): adding(), unreached: adding()}, input_ids=IDS)


def test_a_block_that_the_forward_never_calls_raises() -> None:
    looped = tiny_model()
    looped.model.spare = nn.Linear(32, 32)
    looped.blocks = (looped.blocks[0], looped.model.spare)
    with pytest.raises(SiteError, match="0:1"):
        Tap(looped).run({Site(0, 0): adding(), Site(0, 1): adding()}, input_ids=IDS)


@torch.no_grad()
def test_a_tap_works_again_after_an_error_in_a_visit() -> None:
    looped = tiny_model()
    with hooked(looped, {Site(1, 1): adding()}):
        expected = looped.model(IDS).logits
    tap = Tap(looped)

    def fail(_: Tensor) -> None:
        raise ZeroDivisionError("in the visit")

    for site in (Site(0, 0), Site(1, 1), Site(2, 0)):
        with pytest.raises(ZeroDivisionError, match="in the visit"):
            tap.run({site: fail}, input_ids=IDS)
        with pytest.raises(SiteError):
            tap.run({Site(9, 9): adding()}, input_ids=IDS)
        assert torch.equal(tap.run({Site(1, 1): adding()}, input_ids=IDS).logits, expected)


@torch.no_grad()
def test_a_tap_works_again_after_the_forward_itself_failed() -> None:
    looped = tiny_model()
    tap = Tap(looped)
    expected = tap.run({Site(1, 1): adding()}, input_ids=IDS).logits
    with pytest.raises(ValueError, match="attention_mask"):
        tap.run({Site(1, 1): adding()}, input_ids=IDS, attention_mask=torch.ones(3, 2))
    assert torch.equal(tap.run({Site(1, 1): adding()}, input_ids=IDS).logits, expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("n_loops", [1, 4])
def test_a_steered_decode_with_a_cache_and_padding_equals_the_oracle(mode: type, n_loops: int) -> None:
    looped = tiny_model()
    tap = Tap(looped)
    mask = torch.ones(3, 9, dtype=torch.long)
    mask[0, :2] = 0
    visits = {Site(0, 1): adding(2.0, -1), Site(n_loops - 1, 0): adding(-1.0, -1)}
    caches = looped.new_cache(), looped.new_cache()
    ids = IDS
    with mode():
        for length in range(6, 10):
            inputs = {"input_ids": ids, "attention_mask": mask[:, :length]}
            steered = tap.run(visits, n_loops=n_loops, past_key_values=caches[0], **inputs).logits
            with hooked(looped, visits):
                expected = looped.model(past_key_values=caches[1], n_loops=n_loops, **inputs).logits
            assert torch.equal(steered, expected)
            ids = steered[:, -1:].argmax(-1)
    for ours, theirs in zip(caches[0].layers, caches[1].layers, strict=True):
        assert torch.equal(ours.keys, theirs.keys)


def test_nothing_of_a_tapped_forward_asks_for_gradients() -> None:
    assert not Tap(tiny_model()).run({Site(0, 0): adding()}, input_ids=IDS).logits.requires_grad


@torch.no_grad()
def test_two_taps_in_turn_do_not_disturb_each_other() -> None:
    first, second = Tap(tiny_model(seed=1)), Tap(tiny_model(seed=2))
    expected = first.run({Site(0, 0): adding()}, input_ids=IDS).logits
    second.run({Site(2, 1): adding()}, input_ids=IDS)
    assert torch.equal(first.run({Site(0, 0): adding()}, input_ids=IDS).logits, expected)


def test_only_the_blocks_are_instrumented_not_what_is_inside_them() -> None:
    looped = tiny_model()
    paths = {module.path.removeprefix("model.") for module in Tap(looped)._traced.modules()}
    assert {f"model.layers.{layer}" for layer in range(looped.n_layers)} < paths
    assert not [path for path in paths if path.startswith("model.layers.") and path.count(".") > 2]
