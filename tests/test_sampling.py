"""Draws: their distribution, that they belong to the trial alone, and that rounding does not change them."""

import math

import pytest
import torch
from scipy.stats import chisquare, kstest

from introspect.injection.answers.sampling import _exponentials, draw, random_words, uniforms

LOGITS = torch.tensor([2.0, 0.5, -1.0, 0.5, 1.0, -2.0], dtype=torch.float32)
KINDS = pytest.mark.parametrize("by_cdf", [False, True], ids=["gumbel", "inverse-cdf"])


def words_of(n: int) -> torch.Tensor:
    return random_words(range(n), 1)[:, 0]


def drawn(
    logits: torch.Tensor, words: torch.Tensor, temperature: float = 1.0, top_p: float = 1.0, *, by_cdf: bool = False
) -> torch.Tensor:
    rows, n = logits.expand(len(words), -1), (len(words),)
    return draw(rows, words, torch.full(n, temperature).double(), torch.full(n, top_p).double(), torch.full(n, by_cdf))


def test_the_numbers_are_uniform_over_seeds_and_over_steps() -> None:
    numbers = uniforms(range(4000), 3)
    assert numbers.dtype == torch.float64
    for step in range(3):
        assert kstest(numbers[:, step].numpy(), "uniform").pvalue > 1e-3
    assert kstest(uniforms([5], 4000)[0].numpy(), "uniform").pvalue > 1e-3


def test_a_number_depends_on_its_seed_and_step_alone() -> None:
    together = uniforms([3, 2**63 - 1, 9], 8)
    assert torch.equal(together[1:2, :5], uniforms([2**63 - 1], 5))
    assert len(together.unique()) == together.numel()


def test_noise_is_that_of_the_published_numbers_of_splitmix64() -> None:
    """The numbers for the seed 1234567 are those that other implementations are checked against."""
    published = 6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821
    expected = [-math.log(((word >> 12) + 0.5) * 2.0**-52) for word in published]
    assert _exponentials(torch.tensor([1234567]), 5)[0].tolist() == pytest.approx(expected, rel=1e-14, abs=0)


@KINDS
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (1.0, 0.75)])
def test_tokens_follow_the_tempered_truncated_distribution(temperature: float, top_p: float, *, by_cdf: bool) -> None:
    n = 20_000
    counts = drawn(LOGITS, words_of(n), temperature, top_p, by_cdf=by_cdf).bincount(minlength=6)
    expected = (LOGITS.double() / temperature).softmax(-1)
    if top_p < 1:  # 0.54 + 0.20 reach 0.74, so the nucleus of 0.75 has one token more, the first of two equals
        expected = torch.where(torch.tensor([True, True, False, False, True, False]), expected, 0.0)
    possible = expected > 0
    assert counts[~possible].sum() == 0
    expected = expected[possible] / expected.sum()
    assert chisquare(counts[possible].numpy(), (expected * n).numpy()).pvalue > 1e-3


@pytest.mark.slow_after(4)
@pytest.mark.parametrize("vocabulary", [1, 3, 16, 90, 2, 7, 17])
def test_every_token_has_its_probability_whatever_the_groups(vocabulary: int) -> None:
    logits, n = torch.linspace(0, 2, vocabulary), 40_000
    counts = drawn(logits, words_of(n)).bincount(minlength=vocabulary)
    assert len(counts) == vocabulary
    if vocabulary > 1:
        assert chisquare(counts.numpy(), (logits.double().softmax(-1) * n).numpy()).pvalue > 1e-3


def test_what_is_drawn_at_one_step_says_nothing_about_the_next() -> None:
    words, logits, n = random_words(range(20_000), 2), torch.zeros(9), 20_000
    pairs = 9 * drawn(logits, words[:, 0]) + drawn(logits, words[:, 1])
    assert chisquare(pairs.bincount(minlength=81).numpy(), [n / 81] * 81).pvalue > 1e-3


@KINDS
def test_a_row_draws_the_same_in_a_batch_as_alone(*, by_cdf: bool) -> None:
    torch.manual_seed(0)
    logits, words = torch.randn(50, 300), words_of(50)
    temperature, top_p = torch.rand(50).double().round(decimals=1) * 2, 0.2 + 0.8 * torch.rand(50).double()
    temperature[::7], top_p[::3] = 0.0, 1.0
    given = (logits, words, temperature, top_p, torch.full((50,), by_cdf))
    alone = [draw(*(each[i : i + 1] for each in given)) for i in range(50)]
    assert torch.equal(draw(*given), torch.cat(alone))


def test_rows_of_either_kind_draw_side_by_side_what_they_draw_apart() -> None:
    logits, words, by_cdf = torch.randn(40, 90), words_of(40), torch.arange(40) % 3 == 0
    one = torch.ones(40, dtype=torch.float64)
    mixed = draw(logits, words, one, one, by_cdf)
    apart = [draw(logits, words, one, one, torch.full((40,), kind)) for kind in (True, False)]
    assert torch.equal(mixed, torch.where(by_cdf, *apart))
    assert not torch.equal(*apart)


def test_logits_that_differ_by_rounding_draw_the_same_token_over_a_large_vocabulary() -> None:
    n, source = 400, torch.Generator().manual_seed(0)
    logits = (2.5 * torch.randn(1, 50_000, generator=source)).expand(n, -1)
    rounded = logits + 1e-5 * torch.randn(n, 50_000, generator=source)
    turned = {
        by_cdf: int((drawn_rows(logits, by_cdf=by_cdf) != drawn_rows(rounded, by_cdf=by_cdf)).sum())
        for by_cdf in (False, True)
    }
    assert turned[False] == 0
    assert turned[True] > 0, "the case is too easy: nor does an inverse CDF turn over"


def drawn_rows(logits: torch.Tensor, *, by_cdf: bool) -> torch.Tensor:
    n, one = len(logits), torch.ones(len(logits), dtype=torch.float64)
    return draw(logits, words_of(n), one, one, torch.full((n,), by_cdf))


def test_trials_of_one_seed_share_their_noise() -> None:
    nudged = LOGITS + torch.tensor([0.0, 0.1, 0.0, 0.0, 0.0, 0.0])
    before, after = drawn(LOGITS, words_of(4000)), drawn(nudged, words_of(4000))
    changed = before != after
    assert 0 < changed.double().mean() < 2 * (nudged.softmax(-1) - LOGITS.softmax(-1)).abs().sum()


def drawn_before(
    logits: torch.Tensor, uniform: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor
) -> torch.Tensor:
    """Draw as the first version did, in every row all that any row might need."""
    logits = logits.double()
    greedy = temperature == 0
    probabilities = (logits / torch.where(greedy, 1.0, temperature)[:, None]).softmax(-1)
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.where((before < top_p[:, None]) | (top_p >= 1)[:, None], ordered, 0.0)
    probabilities = torch.zeros_like(probabilities).scatter_(-1, order, kept)
    cumulative = probabilities.cumsum(-1)
    sampled = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)[:, 0]
    return torch.where(greedy, logits.argmax(-1), sampled)


@pytest.mark.slow_after(6)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("temperatures", [(0.0,), (1.0,), (0.7,), (0.0, 1.0), (0.0, 0.7, 1.0, 2.0)])
@pytest.mark.parametrize("nuclei", [(1.0,), (1.0, 0.9, 0.3)])
def test_trials_of_earlier_designs_draw_what_they_drew_to_the_last_token(
    dtype: torch.dtype, temperatures: tuple[float, ...], nuclei: tuple[float, ...]
) -> None:
    source = torch.Generator().manual_seed(1)
    logits = (3 * torch.randn(2000, 257, generator=source)).to(dtype)
    temperature, top_p = (torch.tensor(each * 2000, dtype=torch.float64)[:2000] for each in (temperatures, nuclei))
    now = draw(logits, words_of(2000), temperature, top_p, torch.ones(2000, dtype=torch.bool))
    assert torch.equal(now, drawn_before(logits, uniforms(range(2000), 1)[:, 0], temperature, top_p))


@KINDS
def test_temperature_zero_takes_the_first_of_the_most_probable(*, by_cdf: bool) -> None:
    tied = torch.tensor([0.0, 3.0, 1.0, 3.0])
    assert drawn(tied, words_of(20), temperature=0.0, by_cdf=by_cdf).tolist() == [1] * 20


@KINDS
def test_a_tiny_nucleus_takes_the_most_probable_token(*, by_cdf: bool) -> None:
    assert drawn(LOGITS, words_of(20), top_p=1e-9, by_cdf=by_cdf).tolist() == [0] * 20


@KINDS
def test_tokens_of_no_probability_are_never_drawn(*, by_cdf: bool) -> None:
    """The words are the ends of what a word can be, and such whose noise is 0 or 1 in all bits somewhere."""
    words = torch.cat([torch.tensor([0, -1, 2**63 - 1, -(2**63)]), words_of(5000)])
    logits = torch.full((23,), -float("inf"))
    logits[torch.tensor([1, 3, 21])] = torch.tensor([0.0, 1.0, -700.0])
    assert set(drawn(logits, words, by_cdf=by_cdf).tolist()) == {1, 3}


def test_torchs_own_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    drawn(LOGITS, words_of(5), top_p=0.9)
    assert torch.equal(state, torch.get_rng_state())
