"""The published table of designs: which stacks come to rest, and which do so degenerately; and what training does."""

from math import log

import pytest
import torch

from introspect.analyses.dynamics.design import NORMS, TRAINED_LOOPS, VOCABULARY, Design, Stack
from introspect.analyses.dynamics.design_grid import PUBLISHED_VERDICTS, RECURRENCES, design_study, settled, verdicts
from introspect.analyses.dynamics.design_training import N_TABLES, SURPRISES, held_out_loss, random_tables, texts, train


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("refeed", [True, False])
def test_a_design_does_what_is_published(refeed: bool, norm: str) -> None:
    found = settled(Stack(Design(refeed, norm, 4), 0), RECURRENCES)  # type: ignore[arg-type]
    assert found.verdict == PUBLISHED_VERDICTS[refeed, norm]  # type: ignore[index]


@pytest.mark.slow
def test_they_do_so_in_another_size_and_with_other_seeds() -> None:
    table = verdicts(design_study([12], seeds=2, steps=0).tables["designs"][1])
    assert (table["k"] == table["n"]).all(), table


def test_a_study_says_what_it_found_beside_what_is_published() -> None:
    study = design_study([2], seeds=1, recurrences=6, steps=1)
    assert len(study.sentences) == 12
    assert set(study.figures) == {"designs", "designs_trained"}
    each = study.tables["designs"][1]
    assert each.groupby("steps").size().to_dict() == {0: 6, 1: 6}
    assert (each["loss"].notna() == (each["steps"] > 0)).all()


def test_nothing_is_trained_in_no_steps() -> None:
    study = design_study([2], seeds=1, recurrences=6, steps=0)
    assert len(study.sentences) == 6
    assert set(study.figures) == {"designs"}


@pytest.mark.slow
def test_training_lowers_the_loss_on_texts_not_trained_on_and_is_the_same_each_time() -> None:
    one, same = (Stack(Design(True, "Huginn's", 2), 0) for _ in range(2))
    before = held_out_loss(one, TRAINED_LOOPS)
    train(one, 60)
    train(same, 60)
    assert held_out_loss(one, TRAINED_LOOPS) < log(VOCABULARY) < before, "a guess is beaten"
    assert held_out_loss(one, 1) > held_out_loss(one, TRAINED_LOOPS), "what was trained is all loops"
    assert (one.adapter.weight == same.adapter.weight).all()


def test_a_text_follows_one_table_but_for_surprises() -> None:
    tokens = texts(400, torch.Generator().manual_seed(3))
    foretold = (random_tables()[:, tokens[:, :-1]] == tokens[:, 1:]).double().mean(-1)
    best, table = foretold.max(0)
    three_errors = 3 * (SURPRISES * (1 - SURPRISES) / tokens[:, 1:].numel()) ** 0.5
    assert best.mean() == pytest.approx(1 - SURPRISES, abs=three_errors + 1 / VOCABULARY)
    others = (foretold.sum(0) - best).mean() / (N_TABLES - 1)
    assert others == pytest.approx(1 / VOCABULARY, abs=1 / VOCABULARY), "other tables foretell by chance"
    assert set(table.tolist()) == set(range(N_TABLES))


def test_the_same_seed_draws_the_same_stack() -> None:
    one, same, other = (Stack(Design(True, "pre-norm", 2), seed) for seed in (0, 0, 1))
    assert (one.adapter.weight == same.adapter.weight).all()
    assert (texts(2, one.source) == texts(2, same.source)).all()
    assert (one.adapter.weight != other.adapter.weight).any()
