"""Every published layout is read as it stands, computes what the plain reference does, and nothing else is accepted."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from layout import Layout, read_layouts
from references import REFERENCES
from transformers import PreTrainedConfig
from transformers.initialization import no_init_weights

from introspect.errors import InputError
from introspect.families.feedforward.model import FEED_FORWARD
from introspect.families.loading import load_model, peek
from introspect.families.registry import FAMILIES, family_of
from introspect.families.weight_checks import from_config
from introspect.models.looped_model import LoopedModel

LAYOUTS = read_layouts()
ELSEWHERE = {
    "think_at_hard": "four files, one of them of PEFT: tests/test_extra_files.py",
    "lds": "the layers of another family's config: tests/test_loopus.py",
}
"""Families with published checkpoints whose layout has a test of its own."""
OF_TRANSFORMERS = frozenset(
    (
        *(PreTrainedConfig.__dataclass_fields__),
        *("bos_token_id", "eos_token_id", "pad_token_id", "use_cache", "initializer_range", "tie_word_embeddings"),
        *("rope_parameters", "attention_dropout"),
    )
)
"""Fields that transformers may write into any config.json."""
every_layout = pytest.mark.parametrize("name", LAYOUTS)
FULL = [
    (name, hub_id)
    for name, layout in LAYOUTS.items()
    for hub_id, of in layout.checkpoints.items()
    if of["fields"] is not None
]


def loaded(layout: Layout, folder: Path) -> LoopedModel:
    """Load a checkpoint that was written by a layout."""
    words = None if layout.tokenizer is None else str(folder.parent / "words")
    return load_model(str(folder), device="cpu", dtype="float64", tokenizer=words)


@every_layout
@torch.no_grad()
def test_a_checkpoint_of_the_layout_computes_what_the_plain_reference_does(name: str, tmp_path: Path) -> None:
    layout, tensors = LAYOUTS[name], LAYOUTS[name].tensors()
    folder = layout.write(tmp_path, tensors | layout.extra())
    looped = loaded(layout, folder)
    assert looped.n_loops > 1
    assert type(looped) is FAMILIES[layout.model_type]
    ids, expected = REFERENCES[name]({each: tensor.double() for each, tensor in tensors.items()}, looped, folder)
    found = looped.model(ids, use_cache=False, **looped.forward_arguments(looped.n_loops)).logits
    torch.testing.assert_close(found, expected.reshape(found.shape), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "prefix"), [(name, each) for name in LAYOUTS for each in LAYOUTS[name].prefixes])
def test_a_prefix_of_the_published_names_changes_nothing(name: str, prefix: str, tmp_path: Path) -> None:
    layout, tensors = LAYOUTS[name], LAYOUTS[name].tensors()
    plain = loaded(layout, layout.write(tmp_path / "plain", tensors))
    prefixed = layout.write(tmp_path / "prefixed", {f"{prefix}{each}": tensor for each, tensor in tensors.items()})
    assert loaded(layout, prefixed).weights_hash == plain.weights_hash


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.tied])
def test_tied_weights_may_be_left_out_of_the_file(name: str, tmp_path: Path) -> None:
    layout, tensors = LAYOUTS[name], LAYOUTS[name].tensors()
    whole = loaded(layout, layout.write(tmp_path / "whole", tensors))
    kept = {each: tensor for each, tensor in tensors.items() if each not in layout.tied}
    assert loaded(layout, layout.write(tmp_path / "less", kept)).weights_hash == whole.weights_hash


@every_layout
def test_no_weight_is_accepted_that_is_not_listed_and_none_that_is_listed_may_be_missing(
    name: str, tmp_path: Path
) -> None:
    layout, tensors = LAYOUTS[name], LAYOUTS[name].tensors()
    last = [each for each in tensors if each not in {*layout.tied, *layout.tied.values()}][-1]
    less = {each: tensor for each, tensor in tensors.items() if each != last}
    cases = {
        "unexpected weights: transformer.not_listed": tensors | {"transformer.not_listed.weight": torch.rand(2, 2)},
        "missing weights": less,
        "misshapen weights|cannot be read": tensors | {last: torch.rand(5, 7)},
    }
    for case, (said, given) in enumerate(cases.items()):
        folder = layout.write(tmp_path / str(case), given)
        with pytest.raises(InputError, match=said):
            loaded(layout, folder)


@every_layout
def test_what_is_passed_over_in_a_file_is_listed(name: str) -> None:
    layout = LAYOUTS[name]
    passing = getattr(FAMILIES[layout.model_type].model_class, "_keys_to_ignore_on_load_unexpected", None) or []
    for pattern in passing:
        unlisted = pattern == r"rotary_emb\.inv_freq"  # of every family: angles are computed
        assert unlisted or any(re.search(pattern, each) for each in layout.passed_over), pattern


def accepted(layout: Layout) -> set[str]:
    """List the fields that the family's code reads or passes over by name."""
    family = FAMILIES[layout.model_type]
    fields = set(family.model_class.config_class.__dataclass_fields__)
    return (fields | family.passed_over | set(family.only)) - OF_TRANSFORMERS


@every_layout
def test_no_field_of_a_config_is_accepted_that_is_not_listed(name: str) -> None:
    layout = LAYOUTS[name]
    assert accepted(layout) - {*layout.config, *layout.own} == set()
    assert set(layout.own) <= accepted(layout), "it is not read any more"
    assert not set(layout.own) & set(layout.config)


@every_layout
def test_a_field_that_is_not_listed_is_refused(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    folder = layout.write(tmp_path, layout.tensors())
    (folder / "config.json").write_text(json.dumps(layout.small_config | {"not_listed": 2}))
    words = None if layout.tokenizer is None else str(tmp_path / "words")
    with pytest.raises(InputError, match=r"that are not known here .not_listed 2"):
        peek(str(folder), tokenizer=words)


@pytest.mark.parametrize(("name", "hub_id"), FULL)
def test_the_model_of_a_published_config_has_the_listed_weights_and_the_size_that_its_name_says(
    name: str, hub_id: str
) -> None:
    """The model is made without memory."""
    layout, of = LAYOUTS[name], LAYOUTS[name].checkpoints[hub_id]
    fields: dict[str, Any] = layout.config | of["fields"]
    family = family_of(fields, name=hub_id)
    assert family is FAMILIES[layout.model_type]
    with torch.device("meta"), no_init_weights():
        model = from_config(family.model_class, family.config_of(dict(fields)))
    shapes = layout.shapes(fields)
    assert {each: tuple(weight.shape) for each, weight in model.state_dict().items()} == shapes
    if "parameters" in of:
        count = sum(math.prod(shape) for each, shape in shapes.items() if each not in layout.tied)
        assert count == pytest.approx(of["parameters"], rel=0.04)


def test_every_checkpoint_that_is_named_has_a_layout() -> None:
    listed = {(each.model_type, hub_id) for each in LAYOUTS.values() for hub_id in each.checkpoints}
    for kind, family in FAMILIES.items():
        if kind not in (*ELSEWHERE, *FEED_FORWARD):
            assert {(kind, hub_id) for hub_id in family.about.checkpoints} <= listed
