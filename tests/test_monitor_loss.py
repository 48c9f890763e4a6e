"""The language-model loss is that of a distribution over next tokens, in every family, and its intervals are paired."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from families import FAMILIES

from introspect.analyses.kept_units import keeping
from introspect.analyses.monitor import loss as module
from introspect.analyses.monitor.loss import loss, pieces_of, table_of, told
from introspect.analyses.monitor.sentences import said_of_loss
from introspect.analyses.subject import Subject, open_subject
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.models.tap import Tap

TOKENS = (7, 12, 5, 9)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return open_subject(Options(questions="detect", concepts="snow,bread"))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_probabilities_of_all_next_tokens_sum_to_one(name: str) -> None:
    looped = FAMILIES[name].make(dtype=torch.float64)
    tap, n_loops = Tap(looped), FAMILIES[name].loops[0]
    vocabulary = looped.model.config.vocab_size
    longer = told(tap, [(*TOKENS, token) for token in range(vocabulary)], n_loops)["nats"]
    (shorter,) = told(tap, [TOKENS], n_loops)["nats"]  # hangs on no token behind
    assert np.exp(shorter - longer).sum() == pytest.approx(1, abs=1e-9)


def test_the_loss_of_more_loops_is_that_of_a_model_that_runs_them(subject: Subject) -> None:
    pieces = [(0, TOKENS), (1, TOKENS[:3]), (1, TOKENS[1:])]
    with keeping() as keep:
        found = loss(subject, pieces, [1, 3], size=8, seed=0, keep=keep).set_index("loops")
    for total in (1, 3):
        ids = torch.tensor([TOKENS])
        logits = subject.tap.run({}, n_loops=total, input_ids=ids, use_cache=False).logits[0].double()
        first = -logits.log_softmax(-1)[range(3), ids[0, 1:]].sum().item()
        others = sum(told(subject.tap, [tokens], total)["nats"].item() for _, tokens in pieces[1:])
        assert found.loc[total, "nats"] == pytest.approx((first + others) / 7, rel=1e-5)
    assert found["tokens"].tolist() == [7, 7]
    assert found["texts"].tolist() == [2, 2]
    assert found.loc[3, "more"] == pytest.approx(found.loc[3, "nats"] - found.loc[1, "nats"])
    assert found.loc[1, "more"] == 0
    (said,) = said_of_loss(found.reset_index())
    assert "with 1 loop run, " in said
    assert "(n = 2 texts, 7 tokens, 95% intervals over texts)" in said


def test_what_loops_cost_is_measured_on_the_same_texts() -> None:
    rng = np.random.default_rng(0)
    counts, one = np.full(30, 10.0), rng.normal(30, 10, 30)
    found = table_of({1: one, 2: one + rng.normal(2, 0.1, 30)}, counts, seed=0).set_index("loops")
    assert found.loc[2, "more_low"] < 0.2 < found.loc[2, "more_high"]
    wide, narrow = (found.loc[2, f"{high}"] - found.loc[2, f"{low}"] for low, high in (("low", "high"), MORE))
    assert narrow < wide / 20


MORE = ("more_low", "more_high")


def test_one_text_has_a_loss_without_an_interval() -> None:
    found = table_of({1: np.array([3.0])}, np.array([2.0]), seed=0).iloc[0]
    assert found["nats"] == 1.5
    assert found[["low", "high"]].isna().all()


def test_long_texts_are_cut_and_count_once(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TOKENS", 4)
    path = tmp_path / "texts.txt"
    path.write_text("Tell me about bread and snow and river.\nSnow is white.\n")
    pieces = pieces_of(subject, path)
    assert max(len(tokens) for _, tokens in pieces) == 4
    assert {text for text, _ in pieces} == {0, 1}
    assert len(pieces) > 2
    assert len(module.piece_batches(subject, pieces, 64)) == len({len(tokens) for _, tokens in pieces})


def test_texts_of_single_tokens_are_refused(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("a\n")
    with pytest.raises(InputError, match="no text of two tokens or more"):
        pieces_of(replace(subject), path)
