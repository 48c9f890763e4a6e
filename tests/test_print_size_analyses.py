"""In print size nothing in a figure of an analysis is cut off, covered, hidden, too small or unnamed."""

from collections.abc import Callable

import analysis_tables
import pytest
from analysis_tables import Drawing
from commanded import refused
from print_size import faults

from introspect.results.figures.layout import PAGE_HEIGHT, WIDTHS, figure_of, fitted, page_width

FEW: dict[str, Callable[[], dict[str, Drawing]]] = {
    "monitor": lambda: analysis_tables.monitor(3, 2, ["two-hop"], [2.0]),
    "dynamics": lambda: analysis_tables.dynamics(3, 2, [4, 12]),
    "trajectory": lambda: analysis_tables.trajectory(3, 2, ["0:1"]),
}
MANY: dict[str, Callable[[], dict[str, Drawing]]] = {
    "monitor": lambda: analysis_tables.monitor(8, 12, ["arithmetic", "judgement"], [1.0, 2.0]),
    "dynamics": lambda: analysis_tables.dynamics(8, 12, [4, 8, 12]),
    "trajectory": lambda: analysis_tables.trajectory(6, 12, [f"{loop}:{6}" for loop in range(6)]),
}


def check(made: dict[str, Drawing], width: str) -> None:
    for name, draw in made.items():
        with page_width(width):
            figure = fitted(figure_of(draw()), f"{name}.csv")
        found = faults(figure, f"{name}.csv")
        assert not found, (name, figure.get_size_inches(), found)
        assert figure.get_figwidth() == WIDTHS[width], name
        assert figure.get_figheight() <= PAGE_HEIGHT, name


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("analysis", FEW)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_figures_of_an_analysis_can_be_read_in_print(analysis: str, width: str) -> None:
    check(FEW[analysis](), width)


@pytest.mark.parametrize("command", ["plot", "monitor", "dynamics", "trajectory"])
def test_a_width_that_no_page_has_is_refused_before_anything_is_run(command: str) -> None:
    assert refused(command, "nosuch", "--width", "three") == "introspect: unknown width 'three'; known: one, two\n"


@pytest.mark.slow
@pytest.mark.parametrize("analysis", MANY)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_figures_of_many_loops_layers_and_sites_can_be_read_in_print(analysis: str, width: str) -> None:
    check(MANY[analysis](), width)
