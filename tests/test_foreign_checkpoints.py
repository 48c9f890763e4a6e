"""A checkpoint from elsewhere: whatever is wrong with a file of it is one line, soon, and before memory is taken."""

import json
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.faults.checkpoints import ANYTHING
from introspect.errors import InputError
from introspect.families.foreign_config import check_settings
from introspect.families.loading import load_model, peek
from introspect.models.organisms import organism_folder
from introspect.prompts import Template
from introspect.prompts.dates import write_chat
from introspect.prompts.time_limit import within

Damage = Callable[[Path], object]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n"
NO_TOKENS = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}}
TOO_MANY = "must be a whole number from"


def field(**changes: object) -> Damage:
    def damage(folder: Path) -> None:
        settings = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(settings | changes))

    return damage


def file(name: str, content: bytes | str) -> Damage:
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


DAMAGES: dict[str, tuple[Damage, str]] = {
    **{f"layers {value!r}": (field(num_hidden_layers=value), TOO_MANY) for value in ("four", 2.5, 10**9, 0, True)},
    "layers null": (field(num_hidden_layers=None), "model"),
    **{f"loops {value!r}": (field(total_ut_steps=value), TOO_MANY) for value in ("3", 3.0, 10**9)},
    **{f"width {value!r}": (field(hidden_size=value), TOO_MANY) for value in (10**9, "x", 0)},
    "width of another model": (field(hidden_size=10**6), "one of the two is of another model"),
    "vocabulary 0": (field(vocab_size=0), TOO_MANY),
    "vocabulary too small": (field(vocab_size=10), "its tokenizer has ids up to"),
    "vocabulary too large": (field(vocab_size=10**7), "one of the two is of another model"),
    "activation": (field(hidden_act="nope"), "must be an activation"),
    "epsilon": (field(rms_norm_eps=-1), "must be a number above 0"),
    "dtype": (field(dtype="nope"), "must be float32"),
    "rope a list": (field(rope_parameters=[]), "its config.json cannot be used"),
    "type a number": (field(model_type=3), "must be a name"),
    "bitsandbytes": (field(quantization_config={"quant_method": "bitsandbytes"}), "are quantised"),
    "gptq": (field(quantization_config={"quant_method": "gptq", "bits": 4}), "gptqmodel, vLLM would run"),
    "quantised somehow": (field(quantization_config=3), "quant_method unknown"),
    **{f"config {text[:5]!r}": (file("config.json", text), "config") for text in ("{}", "[]", "x", "", "[" * 10**5)},
    **{f"tokenizer {text!r}": (file("tokenizer.json", text), "no tokenizer") for text in ("{}", "[]", "", "x")},
    "tokenizer of a new type": (file("tokenizer.json", '{"model": {"type": "nope"}}'), "no tokenizer"),
    "tokenizer without tokens": (file("tokenizer.json", json.dumps(NO_TOKENS)), "no tokens for text"),
    **{
        f"{name} a pointer": (file(name, POINTER), f"{name} is a pointer of git-lfs")
        for name in ("config.json", "tokenizer.json", "model.safetensors")
    },
    "weights empty": (file("model.safetensors", ""), "its weights cannot be read"),
    "weights no such file": (file("model.safetensors", "x" * 100), "its weights cannot be read"),
    "weights no pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "its weights cannot be read",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "its weights cannot be read"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(str(organism_folder("aware")), tmp_path / "model"))


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_one_line(folder: Path, name: str) -> None:
    damage, said = DAMAGES[name]
    damage(folder)
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"^model ") as refusal:
        load_model(str(folder), device="cpu")
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert time.monotonic() - begun < 10


FIELDS = json.loads((Path(str(organism_folder("aware"))) / "config.json").read_text())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FIELDS)), ANYTHING)
def test_whatever_a_field_of_a_config_holds_an_outline_is_made_or_it_is_bad_input(name: str, value: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        copied = Path(shutil.copytree(str(organism_folder("aware")), Path(made) / "model"))
        field(**{name: value})(copied)
        begun = time.monotonic()
        outcome(str(copied))
        assert time.monotonic() - begun < 5


def outcome(name: str) -> object:
    try:
        return peek(name)
    except InputError as error:
        return error


@given(st.dictionaries(st.sampled_from(["num_hidden_layers", "n_embd", "vocab_size", "mean_recurrence"]), ANYTHING))
def test_what_passes_is_bounded(fields: dict[str, Any]) -> None:
    try:
        taken = check_settings(fields, "m")
    except InputError:
        return
    assert all(value is None or (isinstance(value, int) and 1 <= value <= 2**24) for value in taken.values())


LOOPING = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}x"


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """End what does not end after half a second, a tenth of the time that it has elsewhere."""
    for user in ("dates", "template"):
        monkeypatch.setattr(f"introspect.prompts.{user}.within", partial(within, 0.5))


@pytest.mark.usefixtures("soon")
def test_a_chat_template_that_does_not_end_is_refused(folder: Path) -> None:
    tokenizer = peek(str(folder)).tokenizer
    tokenizer.chat_template = LOOPING
    with pytest.raises(InputError, match="did not end within"):
        write_chat(tokenizer, [{"role": "user", "content": "?"}])


@pytest.mark.usefixtures("soon")
def test_a_template_that_would_never_end_is_refused() -> None:
    with pytest.raises(InputError, match="did not end within"):
        Template("theirs", LOOPING).fill()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% for a in range(99999) %}{{ 'x' | upper }}" + "x" * 1000 + "{% endfor %}", "writes more than"),
        ("{{ 'a' * 1000000000 }}", "products are of numbers only"),
        ("{{ 10 ** 1000000000 }}", "no powers"),
        ("{{ '%1000000000d' % 1 }}", "products are of numbers only"),
        ("{{ 'a'.ljust(1000000000) }}", "ljust"),
        ("{{ 'a' | center(1000000000) }}", "center"),
    ],
)
def test_a_template_that_would_fill_the_memory_is_refused(source: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Template("theirs", source).fill()


def test_a_template_that_ends_in_time_is_not_disturbed() -> None:
    for _ in range(200):
        assert Template("mine", "{% for a in range(3) %}{{ a }}{% endfor %}").fill() == "012"
