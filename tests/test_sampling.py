"""Draws: their distribution, and that they belong to the trial alone."""

import pytest
import torch
from scipy.stats import chisquare, kstest

from introspect.injection.sampling import draw, uniforms

LOGITS = torch.tensor([2.0, 0.5, -1.0, 0.5, 1.0, -2.0], dtype=torch.float32)


def drawn(logits: torch.Tensor, u: torch.Tensor, temperature: float = 1.0, top_p: float = 1.0) -> torch.Tensor:
    rows = logits.expand(len(u), -1)
    return draw(rows, u, torch.full((len(u),), temperature).double(), torch.full((len(u),), top_p).double())


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


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (1.0, 0.75)])
def test_tokens_follow_the_tempered_truncated_distribution(temperature: float, top_p: float) -> None:
    n = 20_000
    counts = drawn(LOGITS, uniforms(range(n), 1)[:, 0], temperature, top_p).bincount(minlength=6)
    expected = (LOGITS.double() / temperature).softmax(-1)
    if top_p < 1:  # 0.54 + 0.20 reach 0.74, so the nucleus of 0.75 has one token more, the first of two equals
        expected = torch.where(torch.tensor([True, True, False, False, True, False]), expected, 0.0)
    possible = expected > 0
    assert counts[~possible].sum() == 0
    expected = expected[possible] / expected.sum()
    assert chisquare(counts[possible].numpy(), (expected * n).numpy()).pvalue > 1e-3


def test_a_row_draws_the_same_in_a_batch_as_alone() -> None:
    torch.manual_seed(0)
    logits, u = torch.randn(50, 300), uniforms(range(50), 1)[:, 0]
    temperature, top_p = torch.rand(50).double().round(decimals=1) * 2, 0.2 + 0.8 * torch.rand(50).double()
    temperature[::7], top_p[::3] = 0.0, 1.0
    together = draw(logits, u, temperature, top_p)
    alone = [draw(logits[i : i + 1], u[i : i + 1], temperature[i : i + 1], top_p[i : i + 1]) for i in range(50)]
    assert torch.equal(together, torch.cat(alone))


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("temperatures", [(0.0,), (1.0,), (0.7,), (0.0, 1.0), (0.0, 0.7, 1.0, 2.0)])
@pytest.mark.parametrize("nuclei", [(1.0,), (1.0, 0.9, 0.3)])
def test_draws_are_those_of_before_to_the_last_token(
    dtype: torch.dtype, temperatures: tuple[float, ...], nuclei: tuple[float, ...]
) -> None:
    source = torch.Generator().manual_seed(1)
    logits = (3 * torch.randn(2000, 257, generator=source)).to(dtype)
    uniform = uniforms(range(len(logits)), 1)[:, 0]
    temperature, top_p = (torch.tensor(each * 2000, dtype=torch.float64)[:2000] for each in (temperatures, nuclei))
    assert torch.equal(draw(logits, uniform, temperature, top_p), drawn_before(logits, uniform, temperature, top_p))


def test_temperature_zero_takes_the_first_of_the_most_probable() -> None:
    tied = torch.tensor([0.0, 3.0, 1.0, 3.0])
    assert drawn(tied, uniforms(range(20), 1)[:, 0], temperature=0.0).tolist() == [1] * 20


def test_a_tiny_nucleus_takes_the_most_probable_token() -> None:
    assert drawn(LOGITS, uniforms(range(20), 1)[:, 0], top_p=1e-9).tolist() == [0] * 20


def test_tokens_of_no_probability_are_never_drawn_at_the_ends_of_the_unit_interval() -> None:
    edges = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64)
    logits = torch.tensor([-float("inf"), 0.0, -float("inf"), 1.0, -float("inf")])
    assert drawn(logits, edges).tolist() == [1, 3]


def test_torchs_own_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    drawn(LOGITS, uniforms(range(5), 2)[:, 1], top_p=0.9)
    assert torch.equal(state, torch.get_rng_state())
