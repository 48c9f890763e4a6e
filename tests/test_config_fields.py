"""Fields of config.json that nothing here reads: refused in one line, for every family, unless they change nothing."""

import json
from pathlib import Path

import pytest
import torch
from families import FAMILIES
from tiny import save_tiny

from introspect.errors import InputError
from introspect.families.loading import load_model, peek

PLAIN = {name: family for name, family in FAMILIES.items() if not family.looped}
NEUTRAL = (None, False, 0, 0.0, "", [], {})
HARMLESS = {
    "torch_dtype": "bfloat16",
    "auto_map": {"AutoConfig": "configuration.Config"},
    "_attn_implementation_autoset": True,
    "temperature": 0.7,
    "gradient_checkpointing": True,
    "image_token_id": 7,
    "resid_pdrop": 0.1,
    "transformers.js_config": {"dtype": "q4"},
}


@pytest.fixture(scope="module", params=PLAIN)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    looped = PLAIN[request.param].make(dtype=torch.float32)
    return save_tiny(looped, tmp_path_factory.mktemp(request.param) / "model")


def peek_with(folder: Path, fields: dict[str, object]) -> None:
    """Look at a model whose config.json has more fields."""
    file = folder / "config.json"
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | fields))
    try:
        peek(str(folder))
    finally:
        file.write_text(before)


@pytest.mark.parametrize("value", [True, 2, 0.5, "on", [1], {"a": 1}], ids=str)
def test_a_field_that_no_family_knows_is_refused_by_name_and_value(folder: Path, value: object) -> None:
    with pytest.raises(InputError, match=r"hyper_connection") as error:
        peek_with(folder, {"hyper_connection": value})
    assert repr(value) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_field_at_a_neutral_value_is_passed_over(folder: Path) -> None:
    for value in NEUTRAL:
        peek_with(folder, {"hyper_connection": value})


def test_what_changes_nothing_is_passed_over(folder: Path) -> None:
    peek_with(folder, HARMLESS)


def test_several_unknown_fields_are_one_line(folder: Path) -> None:
    with pytest.raises(InputError, match="depth_attention True, mhc 4") as error:
        peek_with(folder, {"mhc": 4, "depth_attention": True})
    assert "\n" not in str(error.value)


def test_the_models_own_fields_are_known(folder: Path) -> None:
    load_model(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("family", "fields", "said"),
    [
        ("raven", {"mlp_class_name": "MoE"}, "mlp_class_name 'MoE': only 'GatedMLP' is known"),
        ("raven", {"test_time_noise": 0.1}, r"test_time_noise 0\.1"),
        ("raven", {"rope_theta": 10_000.0}, r"rope_theta 10000\.0"),
        ("gpt_neox", {"rope_parameters": None, "rotary_emb_base": 500, "rope_theta": 400}, "rope_theta 400"),
        ("ouro", {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types .* only 'full_attention'"),
        ("tah", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "rope type 'linear'"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantised"),
    ],
)
def test_a_value_that_a_family_does_not_compute_with_is_refused(
    family: str, fields: dict[str, object], said: str, tmp_path: Path
) -> None:
    saved = save_tiny(FAMILIES[family].make(dtype=torch.float32), tmp_path / "model")
    with pytest.raises(InputError, match=said):
        peek_with(saved, fields)


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("llama", {"is_llama_config": True, "rope_interleaved": False, "pretraining_tp": 1}),
        ("gemma3_text", {"sliding_window_pattern": 6, "cache_implementation": "hybrid"}),
        ("gpt_neox", {"rope_parameters": None, "rotary_emb_base": 500, "rope_theta": 500}),
    ],
)
def test_fields_of_feed_forward_files_are_known(family: str, fields: dict[str, object], tmp_path: Path) -> None:
    peek_with(save_tiny(FAMILIES[family].make(dtype=torch.float32), tmp_path / "model"), fields)
