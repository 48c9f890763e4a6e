"""A checkpoint that brings its own code: never run unasked, and only run where it computes what a trial relies on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from commanded import introspect, refused
from tiny import save_tiny
from tiny_feedforward import tiny_feedforward

from introspect.errors import InputError
from introspect.experiment.run import Run
from introspect.families.loading import load_model, peek

CONFIG = """
from transformers import LlamaConfig
class PlainConfig(LlamaConfig):
    model_type = "plain_stack"
"""
MODEL = """
from pathlib import Path
from transformers import LlamaForCausalLM
from .configuration_plain import PlainConfig
Path(RAN).touch()
class PlainForCausalLM(LlamaForCausalLM):
    config_class = PlainConfig
    def __init__(self, config):
        super().__init__(config)
        BUILD
    def forward(self, *args, **more):
        CHANGE
        return super().forward(*args, **more)
"""


def published(tmp_path: Path, change: str = "pass", build: str = "pass") -> Path:
    """Save a small Llama as a checkpoint of a type that is unknown here, with code of its own."""
    folder = save_tiny(tiny_feedforward("llama", seed=2), tmp_path / "model")
    files = {"AutoConfig": "configuration_plain.PlainConfig", "AutoModelForCausalLM": "modeling_plain.PlainForCausalLM"}
    settings = json.loads((folder / "config.json").read_text())
    settings |= {"model_type": "plain_stack", "architectures": ["PlainForCausalLM"], "auto_map": files}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "configuration_plain.py").write_text(CONFIG)
    model = MODEL.replace("RAN", repr(str(tmp_path / "ran"))).replace("CHANGE", change)
    (folder / "modeling_plain.py").write_text(model.replace("BUILD", build))
    return folder


@pytest.fixture(autouse=True, scope="module")
def _modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        modules = str(tmp_path_factory.mktemp("modules"))
        patched.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", modules)
        yield


def test_code_is_not_run_unasked_and_the_option_is_named(tmp_path: Path) -> None:
    folder = published(tmp_path)
    said = refused("models", folder)
    assert "of type 'plain_stack', which is no known family (--trust-remote-code would run its own code" in said
    assert not (tmp_path / "ran").exists()


@torch.no_grad()
def test_asked_for_it_computes_what_its_code_computes(tmp_path: Path) -> None:
    folder, original = str(published(tmp_path)), tiny_feedforward("llama", seed=2)
    outline = peek(folder, trust_remote_code=True)
    assert (outline.n_loops, outline.layers["core"]) == (1, 3)
    loaded = load_model(folder, device="cpu", trust_remote_code=True)
    assert (tmp_path / "ran").exists()
    ids = torch.arange(3, 12)[None]
    torch.testing.assert_close(loaded.model(ids).logits, original.model(ids).logits)
    assert loaded.about.name == "own code"


def test_two_checkpoints_of_one_type_run_each_its_own_code_and_are_two_models(tmp_path: Path) -> None:
    first = load_model(str(published(tmp_path)), device="cpu", trust_remote_code=True)
    (tmp_path / "again").mkdir()
    second = load_model(str(published(tmp_path / "again")), device="cpu", trust_remote_code=True)
    assert (tmp_path / "again" / "ran").exists()
    assert first.weights_hash != second.weights_hash, "their code names different files"


def test_where_the_code_was_found_makes_no_other_model(tmp_path: Path) -> None:
    loaded = load_model(str(published(tmp_path)), device="cpu", trust_remote_code=True)
    before = loaded.described()
    loaded.model.config.auto_map = {"AutoModelForCausalLM": "someone/model--modeling_plain.PlainForCausalLM"}
    assert loaded.described() == before


@pytest.mark.parametrize(
    ("where", "code", "words"),
    [
        ("change", "more.pop('attention_mask', None)", "gives other logits behind padding"),
        ("change", "super().forward(*args, **{**more, 'past_key_values': None})", "own code .* blocks of .* put out"),
        ("change", "raise OSError('no disk here')", "cannot be run by its own code as a feed-forward model: no disk"),
        (
            "build",
            "self.register_buffer('note', __import__('torch').full((1,), 7.0), persistent=False)",
            "buffer note is not",
        ),
        ("build", "self.model.rotary_emb.inv_freq.mul_(2)", "inv_freq is not what the config says"),
        ("build", "import no_such_library", "No module named 'no_such_library'|requires the following packages"),
    ],
)
def test_code_that_cannot_be_relied_on_is_one_line(tmp_path: Path, where: str, code: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_model(str(published(tmp_path, **{where: code})), device="cpu", trust_remote_code=True)


def test_a_config_that_names_no_class_is_one_line(tmp_path: Path) -> None:
    folder = published(tmp_path)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"auto_map": {"AutoConfig": "a.B"}, "model_type": None}))
    assert "names no class for AutoModelForCausalLM" in refused("models", folder, "--trust-remote-code")


@pytest.mark.slow
def test_a_sweep_asks_for_it_and_a_run_never_says_so_for_itself(tmp_path: Path) -> None:
    folder, run = published(tmp_path), tmp_path / "run"
    few = ["--concepts", "dust,snow", "--layers", "1", "--strengths", "1", "--max-new-tokens", "2"]
    code, _, err = introspect("sweep", folder, *few, "--trust-remote-code", "--out", run)
    assert (code, err) == (0, "")
    assert "trust_remote_code" not in Run.open(run).manifest
    trial = str(Run.open(run).trials["trial"].iloc[0])
    with pytest.raises(InputError, match="--trust-remote-code"):
        Run.open(run).trial(trial).replay()
    replayed = Run.open(run, trust_remote_code=True).trial(trial)
    assert replayed.replay().text == replayed.text


def test_its_layers_are_not_looped(tmp_path: Path) -> None:
    said = refused("models", published(tmp_path), "--trust-remote-code", "--loop-layers", "0-1")
    assert "is run by its own code, whose layers cannot be looped" in said
