"""The published table of designs: which stacks with random weights come to rest, and which do so degenerately."""

import pytest

from introspect.analyses.dynamics.design import NORMS, Design, Stack
from introspect.analyses.dynamics.grid import PUBLISHED, RECURRENCES, design_study, settled, verdicts


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("refeed", [True, False])
def test_a_design_does_what_is_published(refeed: bool, norm: str) -> None:
    found = settled(Design(refeed, norm, 4), 0, RECURRENCES)  # type: ignore[arg-type]
    assert found.verdict == PUBLISHED[refeed, norm]  # type: ignore[index]


@pytest.mark.slow
def test_they_do_so_in_another_size_and_with_other_seeds() -> None:
    table = verdicts(design_study([12], seeds=2).tables["designs"][1])
    assert (table["k"] == table["n"]).all(), table


def test_a_study_says_what_it_found_beside_what_is_published() -> None:
    study = design_study([2], seeds=1, recurrences=6)
    assert len(study.sentences) == 6
    assert set(study.figures) == {"designs"}
    assert len(study.tables["designs"][1]) == 6


def test_the_same_seed_draws_the_same_stack() -> None:
    one, same, other = (Stack(Design(True, "pre-norm", 2), seed) for seed in (0, 0, 1))
    assert (one.adapter.weight == same.adapter.weight).all()
    assert (one.tokens(2, 3) == same.tokens(2, 3)).all()
    assert (one.adapter.weight != other.adapter.weight).any()
