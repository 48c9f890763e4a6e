"""Lines do not bend, circles bend by one over their radius, and the metric of a matrix is that of its products."""

import math

import pytest
import torch
from torch import Tensor

from introspect.analyses.trajectory.geometry import area, curvature, root_of_metric, salience, turned
from introspect.analyses.trajectory.path_drawing import principal_axes

GENERATOR = torch.Generator().manual_seed(0)
POINTS = torch.randn(2, 9, 6, generator=GENERATOR, dtype=torch.float64)
U = torch.randn(30, 6, generator=GENERATOR, dtype=torch.float64)


def circle(radius: float, points: int) -> Tensor:
    angles = torch.linspace(0, math.pi, points, dtype=torch.float64)
    flat = radius * torch.stack([angles.cos(), angles.sin()], dim=-1)
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=GENERATOR, dtype=torch.float64))
    return flat @ turn[:2] + 3  # somewhere in five dimensions


def test_a_straight_line_does_not_bend_however_uneven_its_steps() -> None:
    line = torch.tensor([0.0, 1.0, 1.5, 4.0, 4.1], dtype=torch.float64)[:, None] * torch.tensor([[3.0, -4.0, 12.0]])
    torch.testing.assert_close(curvature(line), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(salience(line), 13 * torch.tensor([1, 0.5, 2.5, 0.1], dtype=torch.float64))


@pytest.mark.parametrize("radius", [0.5, 7.0])
def test_a_circle_bends_by_one_over_its_radius(radius: float) -> None:
    bent = curvature(turned(circle(radius, 200), root_of_metric(torch.eye(5))))
    assert bent.shape == (198,)
    torch.testing.assert_close(bent, torch.full_like(bent, 1 / radius), rtol=1e-4, atol=0)  # off by (angle / 2)^2
    half = math.pi / 199 / 2
    torch.testing.assert_close(bent, torch.full_like(bent, 1 / (radius * math.cos(half) ** 2)))


def test_a_corner_on_uneven_steps_is_what_the_formula_gives() -> None:
    path = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0]], dtype=torch.float64)
    v, a = torch.tensor([2.0, 1.0]) / 3, 2 * (torch.tensor([0.0, 1.0]) - torch.tensor([1.0, 0.0])) / 3
    expected = ((a @ a) * (v @ v) - (a @ v) ** 2).sqrt() / v.norm() ** 3
    torch.testing.assert_close(curvature(path)[0], expected.double())


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
    areas = [area(salience(each), curvature(each), salience(each).mean(-1)) for each in (plain, scaled)]
    torch.testing.assert_close(areas[1], 5 * areas[0])


def test_the_area_of_a_straight_line_is_its_length() -> None:
    line = torch.arange(5, dtype=torch.float64)[:, None] * torch.ones(1, 3)
    steps = salience(line)
    torch.testing.assert_close(area(steps, curvature(line), steps.mean()), steps)


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
