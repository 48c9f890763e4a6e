"""models NAME --check: what a good checkpoint passes, and what of a bad one is found."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from commanded import introspect, refused
from families import FAMILIES
from huggingface_hub import constants
from tiny import save_tiny, tiny_model

from introspect.experiment import estimate
from introspect.experiment.model_check import check_model, offline
from introspect.models.looped_model import LoopedModel

MADE = ("ouro", "raven", "nanbeige", "ponder", "cotformer", "tah", "llama", "hrm")


def good(looped: LoopedModel) -> dict[str, bool]:
    return {finding.what: finding.good for finding in check_model(looped)}


@pytest.mark.parametrize("name", MADE)
def test_a_model_of_each_kind_passes_all_checks(name: str) -> None:
    found = good(FAMILIES[name].make(dtype=torch.float64))
    assert list(found) == [
        *("weights", "token ids", "end of a turn", "chat template", "batches of 1 and 2", "with and without a cache")
    ]
    assert all(found.values()), found


def dated(looped: LoopedModel) -> None:
    looped.tokenizer.chat_template = "{{ strftime_now('%d %b') }}" + str(looped.tokenizer.chat_template)


def without_end(looped: LoopedModel) -> None:
    looped.__dict__["end_of_turn"] = (5,)


def crowded(looped: LoopedModel) -> None:
    looped.tokenizer.add_tokens(["qzvnew"])


def leaking(looped: LoopedModel) -> None:
    looped.blocks[0].register_forward_hook(lambda _, __, h: h + 0.1 * h.mean(0, keepdim=True))


def forgetting(looped: LoopedModel) -> None:
    made = looped.new_cache
    looped.new_cache = lambda: Halving(made())  # type: ignore[method-assign]


class Halving:
    """A cache that gives back keys at half their size."""

    def __init__(self, cache: object) -> None:
        self.cache = cache

    def __getattr__(self, name: str) -> object:
        return getattr(self.cache, name)

    def update(self, k: torch.Tensor, v: torch.Tensor, slot: int) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = self.cache.update(k, v, slot)  # type: ignore[attr-defined]
        return 0.5 * keys, values


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (dated, "chat template"),
        (without_end, "end of a turn"),
        (crowded, "token ids"),
        (leaking, "batches of 1 and 2"),
        (forgetting, "with and without a cache"),
    ],
)
def test_what_is_wrong_is_found_and_nothing_else_is_blamed(spoil: Callable[[LoopedModel], None], what: str) -> None:
    looped = tiny_model(dtype=torch.float64)
    spoil(looped)
    assert [name for name, passed in good(looped).items() if not passed] == [what]


def test_the_hub_is_not_asked_while_a_model_is_checked() -> None:
    before = constants.HF_HUB_OFFLINE
    with offline():
        assert constants.HF_HUB_OFFLINE
    assert before == constants.HF_HUB_OFFLINE
    said = refused("models", "ByteDance/Ouro-1.4B", "--check")
    assert "could not be fetched" in said


def test_the_command_prints_each_check_and_the_time_of_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = SimpleNamespace(
        counts=SimpleNamespace(total=16272), bytes=6e8, timing=lambda _: estimate.Timing(360.0, 24.0, 50)
    )
    monkeypatch.setattr(estimate, "estimate", lambda options: timed if options.model == "organism:aware" else None)
    code, said, _ = introspect("models", "organism:aware", "--check", "--device", "cpu")
    assert code == 0
    assert said.count(" ok ") == 6
    assert "16272 trials, about 600 MB a batch" in said
    assert "about 6 minutes for the trials on one worker" in said


def test_the_command_ends_with_1_where_a_check_fails(tmp_path: Path) -> None:
    looped = tiny_model()
    dated(looped)
    code, said, _ = introspect("models", save_tiny(looped, tmp_path / "model"), "--check", "--device", "cpu")
    assert code == 1
    assert "1 of 6 checks failed: chat template" in said


def test_without_a_name_there_is_nothing_to_check() -> None:
    assert "name the model" in refused("models", "--check")
