"""Lines do not bend, circles bend by one over their radius, and the metric of a matrix is that of its products."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from introspect.analyses.trajectory.geometry import area, curvature, root_of_metric, salience, turned, turning
from introspect.analyses.trajectory.path_drawing import principal_axes

GENERATOR = torch.Generator().manual_seed(0)
POINTS = torch.randn(2, 9, 6, generator=GENERATOR, dtype=torch.float64)
U = torch.randn(30, 6, generator=GENERATOR, dtype=torch.float64)


def circle(radius: float, angles: Tensor) -> Tensor:
    angles = angles.double()
    flat = radius * torch.stack([angles.cos(), angles.sin()], dim=-1)
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=GENERATOR, dtype=torch.float64))
    return flat @ turn[:2] + 3  # somewhere in five dimensions


def test_a_straight_line_does_not_bend_however_uneven_its_steps() -> None:
    line = torch.tensor([0.0, 1.0, 1.5, 4.0, 4.1], dtype=torch.float64)[:, None] * torch.tensor([[3.0, -4.0, 12.0]])
    torch.testing.assert_close(curvature(line), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(salience(line), 13 * torch.tensor([1, 0.5, 2.5, 0.1], dtype=torch.float64))


@pytest.mark.parametrize("radius", [0.5, 7.0])
def test_a_circle_bends_by_one_over_its_radius_however_few_or_uneven_its_points(radius: float) -> None:
    for angles in (torch.linspace(0, math.pi, 200), torch.tensor([0, 0.1, 0.9, 1, 2.5, 5.5])):
        bent = curvature(turned(circle(radius, angles), root_of_metric(torch.eye(5))))
        assert bent.shape == (len(angles) - 2,)
        torch.testing.assert_close(bent, torch.full_like(bent, 1 / radius))


def test_a_corner_has_the_circle_through_its_three_points() -> None:
    path = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0]], dtype=torch.float64)
    assert curvature(path).item() == pytest.approx(2 / math.sqrt(5))  # a right angle: the chord is a diameter
    assert turning(path).item() == pytest.approx(math.pi / 2)


@given(st.floats(0.01, 100), st.floats(-1e-3, 1e-3) | st.just(0.0), st.floats(0.5, 2))
def test_a_path_that_turns_back_bends_by_a_bounded_amount(step: float, aside: float, ratio: float) -> None:
    path = step * torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0 - ratio, aside]], dtype=torch.float64)
    assert 0 <= curvature(path).item() <= 2 / salience(path).max().item() * (1 + 1e-6)


def test_steps_of_one_length_there_and_back_bend_by_two_over_that_length() -> None:
    back = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    nearly = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 1e-5]], dtype=torch.float64)
    assert curvature(back).item() == pytest.approx(2 / 3) == pytest.approx(curvature(nearly).item())


def test_lengths_are_those_of_what_the_unembedding_makes_of_the_steps() -> None:
    torch.testing.assert_close(salience(turned(POINTS, root_of_metric(U))), salience(POINTS @ U.T))
    torch.testing.assert_close(curvature(turned(POINTS, root_of_metric(U))), curvature(POINTS @ U.T))


def test_an_unembedding_that_sees_few_directions_and_one_in_many_chunks_are_no_exceptions() -> None:
    flat = U.clone()
    flat[:, 2:] = 0
    torch.testing.assert_close(salience(turned(POINTS, root_of_metric(flat))), salience(POINTS[..., :2] @ U[:, :2].T))
    many = torch.randn(10_000, 6, generator=GENERATOR)
    torch.testing.assert_close(salience(turned(POINTS, root_of_metric(many))), salience(POINTS @ many.double().T))


def test_a_scaled_unembedding_scales_lengths_and_areas_and_divides_curvature() -> None:
    plain, scaled = (turned(POINTS, root_of_metric(factor * U)) for factor in (1, 5))
    torch.testing.assert_close(salience(scaled), 5 * salience(plain))
    torch.testing.assert_close(curvature(scaled), curvature(plain) / 5)
    areas = [area(each, salience(each).sum(-1)) for each in (plain, scaled)]
    torch.testing.assert_close(areas[1], 5 * areas[0])


def test_the_area_of_a_straight_line_is_its_length() -> None:
    line = torch.arange(5, dtype=torch.float64)[:, None] * torch.ones(1, 3)
    torch.testing.assert_close(area(line, torch.tensor(2.0)), salience(line))


@given(st.integers(1, 6), st.floats(0, 10))
def test_more_points_on_the_same_path_leave_its_area_as_it_is(parts: int, gauge: float) -> None:
    between = torch.arange(parts, dtype=torch.float64) / parts
    dense = POINTS[:, :-1, None] + between[:, None] * POINTS.diff(dim=-2)[:, :, None]
    dense = torch.cat([dense.flatten(1, 2), POINTS[:, -1:]], dim=1)
    whole = [area(path, torch.full((2,), gauge, dtype=torch.float64)).sum(-1) for path in (POINTS, dense)]
    torch.testing.assert_close(whole[0], whole[1], rtol=1e-5, atol=1e-5)


def test_where_nothing_moves_there_is_no_curvature() -> None:
    path = torch.tensor([[0.0], [1.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    assert curvature(path).isnan().tolist() == [True, True, False]


def test_principal_components_keep_what_lies_in_them() -> None:
    flat = torch.randn(12, 3, generator=GENERATOR, dtype=torch.float64) @ torch.eye(3, 7, dtype=torch.float64)
    places, shares = principal_axes(flat)
    torch.testing.assert_close(torch.cdist(places, places), torch.cdist(flat, flat))
    assert sum(shares) == pytest.approx(1)
    assert shares[0] >= shares[1] >= shares[2]
    assert principal_axes(torch.tensor([[0.0], [2.0]]))[0].shape == (2, 3)
