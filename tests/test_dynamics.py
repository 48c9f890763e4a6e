"""What is measured of loops has the value that it must have where the answer is known: maps, rotations, drifts."""

import gc
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from introspect.analyses.dynamics.attention import cleared, concentration, frobenius, mixing, sink_rate
from introspect.analyses.dynamics.entropy import matrix_entropy
from introspect.analyses.dynamics.fixed_points import Settled, Settling, measure_fixed_points, verdict
from introspect.analyses.dynamics.moments import Moments
from introspect.analyses.dynamics.path import principal
from introspect.analyses.dynamics.recovery import contraction
from introspect.analyses.dynamics.tokens import CLASSES, classify
from introspect.errors import InputError
from introspect.injection.engine.uncached_forward import Look
from introspect.records.trial import Site
from introspect.results.statistics import mean_interval

States = Callable[[int, int], Tensor]
"""From loop and layer to `(row, position, d_model)`."""


def shown(states: States, look: Look, sites: Sequence[Site]) -> None:
    for site in sites:
        look(site, states(site.loop, site.layer))


def settled(states: States, *, layers: int = 1, loops: int = 40, mask: Tensor | None = None) -> Settled:
    settling = Settling(layers, loops)
    mask = torch.ones(states(0, 0).shape[:2]) if mask is None else mask
    settling.add(measure_fixed_points(partial(shown, states), mask, layers, loops))
    return settling.settled()


def path_class(cosines: Tensor) -> str:
    return CLASSES[int(classify(cosines))]


def turned(angles: Tensor) -> Tensor:
    return torch.cos(angles - angles[-1])


def test_a_linear_map_comes_to_rest_at_its_own_rate() -> None:
    rest, first = torch.tensor([[[3.0, 0, 4]]]), torch.tensor([[[0.0, 2, 0]]])
    found = settled(lambda loop, _: (rest + 0.7**loop * first).double(), loops=60)
    distances = found.layers["distance"].to_numpy()
    np.testing.assert_allclose(distances[:30], 2 * 0.7 ** np.arange(30), rtol=1e-4)
    np.testing.assert_allclose(found.layers["distance_relative"][:30], distances[:30] / 5, rtol=1e-6)
    np.testing.assert_allclose(found.layers["change"][1:30], 2 * 0.3 * 0.7 ** np.arange(29), rtol=1e-4)
    assert np.isnan(found.layers["change"][0])
    assert contraction(distances.tolist(), floor=1e-4) == pytest.approx(0.7, abs=1e-5)
    assert found.verdict == "converges"


def test_a_rate_needs_three_distances_above_what_rounding_makes() -> None:
    assert contraction([1, 0.5, 0.25, 0.125], 0) == pytest.approx(0.5)
    assert contraction([1, 0.5, 0.25, 1e-9, 5], 1e-6) == pytest.approx(0.5)
    assert contraction([1, 1.1, 1.21], 0) == pytest.approx(1.1)
    assert np.isnan(contraction([1, 0.5, 1e-9, 0.1, 0.05], 1e-6))


def test_planted_paths_of_tokens_are_told_apart() -> None:
    steps = torch.arange(128.0).double()
    assert path_class(torch.ones(128)) == "fixed point"
    assert path_class(turned(0.5**steps)) == "fixed point"
    assert path_class(turned(2 * torch.pi * steps / 10)) == "orbit"
    assert path_class(turned(2 * torch.pi * steps / 33)) == "orbit"
    assert path_class(turned(torch.pi * steps / 127)) == "slider"
    assert path_class(turned(0.5 * steps / 127)) == "slider"
    late = torch.where(steps < 50, 1.5, 0.0)
    assert path_class(turned(late.double())) == "unknown", "at rest, but not for nine tenths of the recurrences"
    wandering = torch.randn(128, 64, generator=torch.Generator().manual_seed(0))
    assert path_class(torch.cosine_similarity(wandering, wandering[-1:], dim=-1)) == "unknown"


def test_a_rotation_orbits_and_does_not_settle() -> None:
    def states(loop: int, _: int) -> Tensor:
        angle = torch.tensor(2 * torch.pi * loop / 8)
        return torch.stack((angle.cos(), angle.sin()))[None, None]

    found = settled(states, loops=41)
    assert found.tokens.set_index("class")["k"].to_dict() == {
        **dict.fromkeys(CLASSES, 0),
        "orbit": 1,
    }
    assert found.turn == pytest.approx(2 * np.pi / 8, abs=1e-5)
    assert found.verdict == "does not"


@pytest.mark.parametrize(("angle", "wanted"), [(np.pi / 3, "converges"), (0.0, "degenerate")])
def test_planted_fixed_points_are_as_distinct_as_they_are(angle: float, wanted: str) -> None:
    points = [0.0, angle / 2, angle]

    def states(loop: int, layer: int) -> Tensor:
        return torch.tensor([[[np.cos(points[layer]), np.sin(points[layer]), 0.2**loop]]]).float()

    found = settled(states, layers=3)
    np.testing.assert_allclose(found.distinct["cosine"], [1, *np.cos(points[1:]), np.cos(angle)], atol=1e-6)
    assert found.lowest == pytest.approx(np.cos(angle), abs=1e-6)
    assert found.verdict == wanted


def test_padding_and_the_cut_into_batches_change_nothing() -> None:
    source = torch.Generator().manual_seed(1)
    noise = torch.randn(6, 2, 4, 5, 8, generator=source)  # loop, layer, row, position, d_model
    mask = torch.tensor([[0, 0, 1, 1, 1]] * 2 + [[1] * 5] * 2)
    whole, parts = Settling(2, 6), Settling(2, 6)
    whole.add(measure_fixed_points(partial(shown, lambda loop, layer: noise[loop, layer]), mask, 2, 6))
    parts.add(measure_fixed_points(partial(shown, lambda loop, layer: noise[loop, layer, :2, 2:]), mask[:2, 2:], 2, 6))
    parts.add(measure_fixed_points(partial(shown, lambda loop, layer: noise[loop, layer, 2:]), mask[2:], 2, 6))
    for name in ("layers", "distinct", "tokens"):
        one, other = getattr(whole.settled(), name), getattr(parts.settled(), name)
        numbers = one.columns.drop([each for each in ("class", "layer") if each in one])
        np.testing.assert_allclose(one[numbers], other[numbers], rtol=1e-5, atol=1e-6)


def test_no_more_states_are_held_for_more_recurrences() -> None:
    def most(loops: int) -> int:
        held: list[int] = []

        def states(loop: int, _: int) -> Tensor:
            if loop == loops - 2:  # to look at all that is held takes its time
                shapes = [each.shape for each in gc.get_objects() if type(each) is Tensor]
                held.append(shapes.count(torch.Size((3, 7, 5))))
            return torch.full((3, 7, 5), 1.0 + loop)

        settled(states, layers=2, loops=loops)
        return max(held)

    assert 2 * 2 <= most(8) == most(30)


def test_moments_of_batches_are_those_of_all_values() -> None:
    values = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)).double() + 1e6
    moments = Moments(3)
    for part in values.split([2, 1, 6]):
        moments.add(part)
    table = moments.table(["a", "b", "c"])
    for column, name in enumerate("abc"):
        wanted = mean_interval(values[:, column].numpy())
        np.testing.assert_allclose(table[[name, f"{name}_low", f"{name}_high"]].iloc[0], wanted, rtol=1e-12)


def test_attention_of_known_shape_has_known_numbers() -> None:
    mask = torch.tensor([[0, 1, 1, 1, 1]])
    eye, sink = torch.eye(5), torch.zeros(5, 5)
    sink[:, 1] = 1
    weights = cleared(torch.stack((eye, sink))[None], mask)  # one text of four tokens, two heads
    torch.testing.assert_close(concentration(weights, mask), torch.tensor([0.5]))  # 0 and 1
    torch.testing.assert_close(sink_rate(weights, mask), torch.tensor([0.5]))
    torch.testing.assert_close(mixing(weights, mask), torch.tensor([0.0]))
    uniform = cleared(torch.full((1, 2, 5, 5), 0.25), mask)
    torch.testing.assert_close(mixing(uniform, mask), torch.tensor([4.0]).log())
    distances = frobenius([weights, uniform, weights])[0]
    apart = (4 * (0.75**2 + 3 * 0.25**2)) ** 0.5
    torch.testing.assert_close(distances[0], torch.tensor([0, apart, 0]))


def test_the_entropy_of_states_is_that_of_their_spectrum() -> None:
    mask = torch.tensor([[0, 1, 1, 1]])
    orthogonal = torch.cat((torch.full((1, 1, 6), 9.0), torch.eye(6)[None, :3]), 1)
    line = torch.arange(1.0, 5)[None, :, None] * torch.ones(6)
    torch.testing.assert_close(matrix_entropy(orthogonal, mask), torch.tensor([3.0]).double().log())
    assert matrix_entropy(line, mask).item() == pytest.approx(0, abs=1e-9)
    wide = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0)).double()
    p = torch.linalg.svdvals(wide[0, 1:]) ** 2
    p = p / p.sum()
    torch.testing.assert_close(matrix_entropy(wide, mask)[0], -(p * p.log()).sum())


def test_a_circle_stays_a_circle_on_its_principal_axes() -> None:
    angles = torch.arange(12).double() * torch.pi / 6
    plane = torch.linalg.qr(torch.randn(9, 2, generator=torch.Generator().manual_seed(0)).double()).Q.T
    points, shares = principal(3 * torch.stack((angles.cos(), angles.sin()), -1) @ plane + 5)
    torch.testing.assert_close(points.norm(dim=-1), torch.full((12,), 3.0).double())
    torch.testing.assert_close(shares, torch.full((2,), 0.5).double())


def test_too_few_recurrences_are_refused() -> None:
    with pytest.raises(InputError, match="recurrences 3: must be at least 4"):
        Settling(1, 3)


def test_what_is_not_known_does_not_converge() -> None:
    assert verdict(np.nan, 0, 0.5) == "does not"
    assert verdict(0.01, 0.5, 0.5) == "does not"
    assert verdict(0.01, 0.001, 0.5) == "converges"
