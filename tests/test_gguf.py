"""GGUF files: the same model as in transformers' own layout, its identity, and what is refused in one line."""

import importlib.util
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from commanded import introspect, refused
from tiny import save_tiny
from tiny_feedforward import tiny_feedforward
from tiny_gguf import ARCHITECTURES, rounded, write_gguf

from introspect.errors import InputError
from introspect.experiment.run import Run
from introspect.families.gguf.checkpoint import ARCHITECTURES as KNOWN
from introspect.families.gguf.reader import LONG_LIST, QuickReader
from introspect.families.loading import load_model, peek
from introspect.families.tokenizer import turns_of

IDS = torch.randint(3, 256, (2, 9), generator=torch.Generator().manual_seed(1))
Q8 = gguf.GGMLQuantizationType.Q8_0


def test_every_architecture_that_is_loaded_is_tested() -> None:
    assert set(ARCHITECTURES) == set(KNOWN)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_a_file_gives_the_logits_of_the_model_it_was_made_from(architecture: str, tied: bool, tmp_path: Path) -> None:
    looped = tiny_feedforward(ARCHITECTURES[architecture], seed=3, tie_word_embeddings=tied)
    loaded = load_model(str(write_gguf(looped, tmp_path / "tiny.gguf", architecture)), device="cpu")
    torch.testing.assert_close(loaded.model(IDS).logits, looped.model(IDS).logits, rtol=0, atol=2e-6)  # norms are + 1
    assert loaded.described() == looped.described()
    outline = peek(str(tmp_path / "tiny.gguf"))
    assert (outline.n_loops, outline.layers["core"]) == (1, 3)


@pytest.mark.parametrize("factor", [8.0, 32.0])
@torch.no_grad()
def test_the_angles_of_llama_3_are_divided_as_its_file_says(factor: float, tmp_path: Path) -> None:
    scaled = {"factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rope = {"rope_type": "llama3", "rope_theta": 5e5, "original_max_position_embeddings": 8192, **scaled}
    looped = tiny_feedforward(rope_parameters=rope)
    plain = tiny_feedforward(rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    frequencies = [each.model.model.rotary_emb.inv_freq.numpy() for each in (plain, looped)]
    divisors = frequencies[0] / frequencies[1]
    assert 1 < divisors[2] < factor == pytest.approx(divisors[3])
    path = write_gguf(looped, tmp_path / "tiny.gguf", tensors={"rope_freqs.weight": divisors})
    loaded = load_model(str(path), device="cpu")
    assert loaded.model.config.rope_parameters == pytest.approx(rope)
    torch.testing.assert_close(loaded.model(IDS).logits, looped.model(IDS).logits, rtol=0, atol=2e-6)
    assert not torch.allclose(loaded.model(IDS).logits, plain.model(IDS).logits)


@torch.no_grad()
def test_quantised_weights_are_unpacked_into_the_chosen_format(tmp_path: Path) -> None:
    looped = tiny_feedforward(tie_word_embeddings=True)
    path = str(write_gguf(looped, tmp_path / "tiny.gguf", kind=Q8))
    by_hand = tiny_feedforward(tie_word_embeddings=True)
    for weight in by_hand.model.parameters():
        if weight.ndim == 2:
            weight.copy_(torch.from_numpy(rounded(weight.numpy(), Q8)))  # a block lies in one row, so rows may move
    loaded = load_model(path, device="cpu")
    assert torch.equal(loaded.model(IDS).logits, by_hand.model(IDS).logits)
    assert not torch.equal(loaded.model(IDS).logits, looped.model(IDS).logits)
    half = load_model(path, device="cpu", dtype="bfloat16")
    for name, weight in by_hand.model.named_parameters():
        assert torch.equal(half.model.get_parameter(name), weight.bfloat16())


@torch.no_grad()
def test_what_was_loaded_is_a_plain_model_that_can_be_saved_and_loaded_again(tmp_path: Path) -> None:
    loaded = load_model(str(write_gguf(tiny_feedforward(), tmp_path / "tiny.gguf", kind=Q8)), device="cpu")
    again = load_model(str(save_tiny(loaded, tmp_path / "folder")), device="cpu")
    assert torch.equal(again.model(IDS).logits, loaded.model(IDS).logits)
    assert again.described() == loaded.described()
    assert again.chat_format == loaded.chat_format == "chatml"


def test_the_file_is_part_of_the_identity(tmp_path: Path) -> None:
    looped = tiny_feedforward()
    first, second = (write_gguf(looped, tmp_path / f"{name}.gguf") for name in ("first", "second"))
    loaded, same = load_model(str(first), device="cpu"), load_model(str(second), device="cpu")
    assert loaded.weights_hash == same.weights_hash
    with second.open("ab") as file:
        file.write(b"\0" * 32)
    longer = load_model(str(second), device="cpu")
    assert torch.equal(longer.model.lm_head.weight, loaded.model.lm_head.weight)
    assert longer.weights_hash != loaded.weights_hash != looped.weights_hash


def test_text_is_cut_as_the_file_says(tmp_path: Path) -> None:
    looped = tiny_feedforward()
    path = str(write_gguf(looped, tmp_path / "tiny.gguf"))
    text = "<|im_start|>user\nDo you  notice\n\n12 thoughts?"
    tokenizer = load_model(path, device="cpu").tokenizer
    assert tokenizer(text).input_ids == looped.tokenizer(text).input_ids == peek(path).tokenizer(text).input_ids
    assert turns_of(path).decode(tokenizer(text).input_ids) == "user\nDo you  notice\n\n12 thoughts?"
    digits = peek(str(write_gguf(looped, tmp_path / "digits.gguf", cut="smollm"))).tokenizer.backend_tokenizer
    pieces = [piece for piece, _ in digits.pre_tokenizer.pre_tokenize_str("a  12")]
    assert pieces == ["a", "\u0120\u0120", "1", "2"]


def test_a_tokenizer_that_was_changed_is_not_the_next_models(tmp_path: Path) -> None:
    path = str(write_gguf(tiny_feedforward(), tmp_path / "tiny.gguf"))
    load_model(path, device="cpu").tokenizer.chat_template = "mine"
    assert load_model(path, device="cpu").tokenizer.chat_template != "mine"


@pytest.mark.parametrize("kind", [gguf.GGUFValueType.STRING, gguf.GGUFValueType.INT32])
@pytest.mark.parametrize("count", [LONG_LIST - 1, LONG_LIST])
def test_what_follows_a_long_list_is_read_as_ever(kind: gguf.GGUFValueType, count: int, tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "lists.gguf", "llama")
    values = [f"word {number}" for number in range(count)] if kind == gguf.GGUFValueType.STRING else range(count)
    writer.add_array("some.list", list(values))
    writer.add_uint32("behind", 7)
    writer.add_tensor("weight", np.arange(8, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    quick, usual = QuickReader(tmp_path / "lists.gguf"), gguf.GGUFReader(tmp_path / "lists.gguf")
    assert quick.fields["behind"].contents() == usual.fields["behind"].contents() == 7
    assert len(quick.fields["some.list"].data) == len(usual.fields["some.list"].data) == count
    assert (quick.tensors[0].data == usual.tensors[0].data).all()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _headless(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


BROKEN = {
    "cut in its weights": (_cut, "its file cannot be read"),
    "cut in its settings": (_headless, "its file cannot be read"),
    "empty": (lambda path: path.write_bytes(b""), "does not begin with GGUF"),
    "of another kind": (lambda path: path.write_bytes(b"PK" + b"0" * 99), "does not begin with GGUF"),
    "gone": (lambda path: path.unlink(), "there is no such file"),
    "a mamba": (lambda path: _bare(path, "mamba"), "architecture 'mamba' cannot be run; known: gemma3, llama"),
    "without settings": (lambda path: _bare(path, "llama"), "it lacks llama.block_count, which no weight shows"),
    "stretched": (lambda path: _written(path, rope__scaling__factor=8.0), "llama.rope.scaling.factor is 8.0"),
    "cut into unknown words": (lambda path: _written(path, cut="klingon"), "cuts text as 'klingon'"),
    "with a tensor too many": (
        lambda path: _written(path, tensors={"blk.7.attn_norm.weight": np.ones(4, np.float32)}),
        "unexpected weights: blk.7.attn_norm.weight",
    ),
    "with angles of its own": (
        lambda path: _written(path, tensors={"rope_freqs.weight": np.array([1, 2, 3, 5], np.float32)}),
        "rope_freqs.weight divides its rotary angles in a way that is not known here",
    ),
    "with a number that is none": (
        lambda path: _written(path, tensors={"output_norm.weight": np.full(32, np.nan, np.float32)}),
        "weight model.norm.weight holds values that are not finite",
    ),
}


def _written(path: Path, **changes: object) -> None:
    write_gguf(tiny_feedforward(), path, **changes)


def _bare(path: Path, architecture: str) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_cannot_be_run_is_one_line(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_gguf(tiny_feedforward(), tmp_path / "tiny.gguf")
    break_it, message = BROKEN[case]
    break_it(path)
    line = refused("sweep", "tiny.gguf", "--device", "cpu")
    assert message in line
    assert "model 'tiny.gguf'" in line
    assert not Path("runs").exists()
    assert message in refused("models", "tiny.gguf", "--device", "cpu")


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    looped = tiny_feedforward()
    del looped.model.model.layers[1].mlp.up_proj
    path = write_gguf(looped, tmp_path / "tiny.gguf")
    with pytest.raises(InputError, match=r"missing weights: model\.layers\.1\.mlp\.up_proj\.weight$"):
        load_model(str(path), device="cpu")


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_without_the_packages_that_read_it_what_to_install_is_said(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gguf(tiny_feedforward(), tmp_path / "tiny.gguf")
    found = importlib.util.find_spec
    monkeypatch.setattr("introspect.models.named.find_spec", lambda name: None if name == package else found(name))
    assert f'the package {package}; pip install "introspect-loops[gguf]"' in refused("models", path)


def test_a_revision_of_a_file_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tiny_feedforward(), tmp_path / "tiny.gguf")
    with pytest.raises(InputError, match="only a hub id has revisions"):
        peek(str(path), revision="main")


@pytest.mark.slow
def test_a_sweep_from_the_command_line_is_continued_and_replayed(tmp_path: Path) -> None:
    path = write_gguf(tiny_feedforward(), tmp_path / "tiny.gguf", kind=Q8)
    words = ("--concepts", "dust,satellites,trumpets,origami")
    small = ("--strengths", "2", "--layers", "1", "--max-new-tokens", "3", "--device", "cpu")
    arguments = ("sweep", path, *words, *small, "--arms", "injected,none,random", "--out", tmp_path / "run")
    code, _, err = introspect(*arguments)
    assert code == 0, err
    assert introspect(*arguments)[0] == 0
    with Run.open(tmp_path / "run") as opened:
        stored = opened.trial(opened.trials["trial"].iloc[0])
        assert stored.record.model == str(path)
        assert stored.replay().response.token_ids == stored.response.token_ids
    write_gguf(tiny_feedforward(seed=1), path, kind=Q8)
    assert "weights_hash" in refused(*arguments)
