"""Loading: the published layout, what is mended in it, and every checkpoint that is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import save_tiny, tiny_model
from transformers.utils import logging

from introspect.errors import InputError
from introspect.families.loading import load_model, peek
from introspect.models import organisms
from introspect.models.chat import PLAIN_CHAT

IDS = torch.tensor([[5, 60, 70, 80], [9, 8, 7, 6]])


def published(folder: Path) -> Path:
    """Save a tiny model the way the checkpoints are published: shards, remote code, old field names, ids all 0."""
    looped = tiny_model(n_loops=4)
    looped.model.save_pretrained(folder, max_shard_size="40KB")
    looped.tokenizer.save_pretrained(folder)
    change_json(folder / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer", eos_token="<|endoftext|>")
    config = change_json(
        folder / "config.json",
        auto_map={"AutoConfig": "configuration_ouro.OuroConfig", "AutoModelForCausalLM": "modeling_ouro.Ouro"},
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        early_exit_threshold=1.0,
        early_exit_step=None,
        torch_dtype="bfloat16",
        rope_theta=1000000.0,
        rope_scaling=None,
        use_sliding_window=False,
        sliding_window=None,
        max_window_layers=2,
        layer_types=["full_attention"] * 2,
        transformers_version="4.54.1",
    )
    del config["rope_parameters"], config["dtype"]
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_ouro.py").write_text("raise SystemExit('remote code ran')\n")
    (folder / "configuration_ouro.py").write_text("raise SystemExit('remote code ran')\n")
    (folder / "generation_config.json").unlink()
    return folder


def change_json(path: Path, **fields: object) -> dict[str, object]:
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps(content))
    return content


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tiny_model(), tmp_path / "model")


@torch.no_grad()
def test_the_published_layout_loads_without_its_remote_code(tmp_path: Path) -> None:
    folder = published(tmp_path / "model")
    assert len(list(folder.glob("*.safetensors"))) > 1
    loaded, original = load_model(str(folder), device="cpu"), tiny_model(n_loops=4)
    assert torch.equal(loaded.model(IDS).logits, original.model(IDS).logits)
    assert (loaded.n_loops, loaded.n_layers, loaded.d_model, loaded.dtype) == (4, 2, 32, torch.float32)
    assert loaded.weights_hash == original.weights_hash
    assert not loaded.model.training


def test_the_ids_of_the_published_layout_are_those_of_its_chat_format(tmp_path: Path) -> None:
    loaded = load_model(str(published(tmp_path / "model")), device="cpu")
    for config in (loaded.model.config, loaded.model.generation_config):
        assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 0)
    assert loaded.end_of_turn == (0, 2)


def test_the_weight_names_are_the_published_ones(folder: Path) -> None:
    block = [f"{norm}layernorm{i}" for norm in ("input_", "post_attention_") for i in ("", "_2")]
    block += [f"self_attn.{part}_proj" for part in "qkvo"] + [f"mlp.{part}_proj" for part in ("gate", "up", "down")]
    names = {f"model.layers.{layer}.{part}.weight" for layer in range(2) for part in block}
    names |= {f"{part}.weight" for part in ("lm_head", "model.embed_tokens", "model.norm", "model.early_exit_gate")}
    assert set(load_file(folder / "model.safetensors")) == names | {"model.early_exit_gate.bias"}


@torch.no_grad()
def test_the_ids_come_from_the_tokenizer_where_they_are_elsewhere(folder: Path) -> None:
    change_json(folder / "config.json", bos_token_id=7, eos_token_id=8, pad_token_id=9)
    loaded = load_model(str(folder), device="cpu")
    assert (loaded.model.config.bos_token_id, loaded.end_of_turn, loaded.pad_id) == (1, (0, 2), 0)


@pytest.mark.parametrize("tied", [False, True])
@torch.no_grad()
def test_saving_and_loading_again_gives_bit_equal_logits_and_the_same_hash(tmp_path: Path, tied: bool) -> None:
    original = tiny_model(seed=5, rope_theta=500.0, tie_word_embeddings=tied)
    first = load_model(str(save_tiny(original, tmp_path / "first")), device="cpu")
    second = load_model(str(save_tiny(first, tmp_path / "second")), device="cpu")
    for n_loops in (1, 2, 4, 8):
        logits = [m.model(IDS, **m.forward_arguments(n_loops)).logits for m in (original, first, second)]
        assert torch.equal(logits[0], logits[1])
        assert torch.equal(logits[0], logits[2])
    assert original.weights_hash == first.weights_hash == second.weights_hash


def test_the_tokenizer_is_read_as_its_file_says_whatever_class_is_named(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, content["pre_tokenizer"]],
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))
    change_json(folder / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    loaded = load_model(str(folder), device="cpu")
    assert "Digits" in loaded.tokenizer.backend_tokenizer.to_str()


def test_a_hub_id_is_loaded_from_what_was_downloaded_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "hub" / "models--ByteDance--Ouro-tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    published(repository / "snapshots" / ("0" * 40))
    offline(monkeypatch, tmp_path / "hub")
    loaded = load_model("ByteDance/Ouro-tiny", device="cpu")
    assert loaded.name == "ByteDance/Ouro-tiny"
    assert loaded.weights_hash == tiny_model(n_loops=4).weights_hash


def test_a_hub_id_that_cannot_be_fetched_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(monkeypatch, tmp_path)
    with pytest.raises(InputError, match=r"'ByteDance/Ouro-1\.4B' is no folder here and could not be fetched") as error:
        load_model("ByteDance/Ouro-1.4B", device="cpu")
    assert "\n" not in str(error.value)


def offline(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))


def test_a_shipped_organism_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny(tiny_model(), tmp_path / "keen")
    monkeypatch.setattr(organisms, "_home", lambda: tmp_path)
    assert load_model("organism:keen", device="cpu").weights_hash == tiny_model().weights_hash
    with pytest.raises(InputError, match="unknown organism 'shy'; known: keen"):
        load_model("organism:shy", device="cpu")


@pytest.mark.parametrize("name", organisms.organisms())
def test_every_shipped_organism_loads(name: str) -> None:
    assert load_model(f"organism:{name}", device="cpu").name == f"organism:{name}"


def test_an_unknown_family_is_named_before_the_weights_are_read(folder: Path) -> None:
    change_json(folder / "config.json", model_type="mamba")
    (folder / "model.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(InputError, match="type 'mamba', which is no known family; looped ones are ouro"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("model.norm.weight"), r"missing weights: model\.norm\.weight$"),
        (lambda w: w.update(extra=torch.ones(2)), "unexpected weights: extra$"),
        (lambda w: w.update({"lm_head.weight": torch.ones(3, 3)}), r"misshapen weights: lm_head\.weight$"),
        (lambda w: w["model.norm.weight"].fill_(torch.nan), r"weight model\.norm\.weight holds values .* not finite"),
        (lambda w: [w.pop(name) for name in list(w) if "layers.1" in name], "missing weights: .* and 8 more$"),
    ],
)
def test_weights_that_are_not_the_models_are_refused(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    change_weights(folder, change)
    with pytest.raises(InputError, match=message):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "config.json"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer"),
        (lambda f: (f / "model.safetensors").unlink(), "weights cannot be read"),
        (lambda f: (f / "model.safetensors").write_bytes(b"cut"), "weights cannot be read"),
        (lambda f: change_json(f / "config.json", rope_parameters={"rope_type": "yarn"}), "rope type 'yarn'"),
    ],
)
def test_a_folder_that_is_no_usable_model_is_refused_in_one_line(
    folder: Path, break_it: Callable[[Path], object], message: str
) -> None:
    break_it(folder)
    with pytest.raises(InputError, match=message) as error:
        load_model(str(folder), device="cpu")
    assert "\n" not in str(error.value)


def test_a_tokenizer_without_chat_template_gets_the_plain_one(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    for tokenizer in (load_model(str(folder), device="cpu").tokenizer, peek(str(folder)).tokenizer):
        assert tokenizer.chat_template == PLAIN_CHAT


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/model", "a/b/c", __file__])
def test_a_missing_folder_is_not_looked_for_on_the_hub(name: str) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        load_model(name, device="cpu")


def test_a_name_that_is_neither_folder_nor_hub_id_is_refused() -> None:
    with pytest.raises(InputError, match="no folder here and could not be fetched from the hub: Repo id must use"):
        load_model("what is this?", device="cpu")


def test_a_revision_of_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="only a hub id has revisions"):
        load_model(str(folder), device="cpu", revision="main")


def test_loading_says_nothing_and_leaves_the_settings_of_transformers(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_model(str(folder), device="cpu")
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
