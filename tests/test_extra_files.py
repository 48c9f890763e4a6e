"""Files beside a model's weights: Think-at-Hard's are read, any other that would change the computation is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny import save_tiny, tiny_model
from tiny_tah import tiny_tah

from introspect.errors import InputError
from introspect.families.loading import load_model, peek
from introspect.families.think_at_hard.model import TahLooped

IDS = torch.tensor([[5, 17, 40, 8, 99, 3, 61, 12, 200, 33]])
BASE = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim"),
    *("num_key_value_heads", "hidden_act", "rms_norm_eps", "rope_theta", "tie_word_embeddings"),
)


def published(folder: Path, threshold: float | None = None) -> TahLooped:
    """Save a model in the published files: the base as Qwen3, the adapter as PEFT's, the decider by torch."""
    looped = tiny_tah()
    config, weights = looped.model.config, looped.model.state_dict()
    base = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]} | {f: getattr(config, f) for f in BASE}
    (folder / "config.json").write_text(json.dumps(base | {"use_sliding_window": False, "attention_bias": False}))
    looped.tokenizer.save_pretrained(folder)
    lora = {key: tensor for key, tensor in weights.items() if ".lora_" in key}
    decider = {key: tensor for key, tensor in weights.items() if key.startswith("iter_decider.")}
    plain = {key: tensor for key, tensor in weights.items() if key not in lora | decider and key != "lm_head.weight"}
    save_file(plain, folder / "model.safetensors", {"format": "pt"})
    (folder / "lora").mkdir()
    named = {f"base_model.model.{key}.weight": tensor for key, tensor in lora.items()}
    save_file(named, folder / "lora" / "adapter_model.safetensors", {"format": "pt"})
    adapter = {"peft_type": "LORA", "r": 2, "lora_alpha": 4.0, "target_modules": config.lora_targets, "bias": "none"}
    (folder / "lora" / "adapter_config.json").write_text(json.dumps(adapter))
    arguments = {"topk": 10, "hidden_states_size": 32, "hidden_states_layer_nums": [1, 2], "hidden_dims": [8, 12, 8]}
    arguments |= {"expansion_factor": 2} | ({} if threshold is None else {"threshold": threshold})
    state = {key.removeprefix("iter_decider."): tensor for key, tensor in decider.items()}
    saved = {"class": "MLPIterDecider", "state_dict": state, "init_args": arguments | {"dtype": torch.bfloat16}}
    torch.save(saved, folder / "iter_decider.bin")
    settings = {"max_iter": 3, "iter_decider": "MLPIterDecider", "iter_decider_kwargs": arguments, "adapter": "lora"}
    settings |= {"embedding_key": "model.embed_tokens", "input_updater_kwargs": {"topk": 20}, "adapter_kwargs": adapter}
    (folder / "tah_config.json").write_text(json.dumps(settings))
    return looped


@torch.no_grad()
def test_a_published_think_at_hard_folder_is_no_plain_qwen3(tmp_path: Path) -> None:
    looped = published(tmp_path)
    assert peek(str(tmp_path)).n_loops == 3
    again = load_model(str(tmp_path), device="cpu")
    assert isinstance(again, TahLooped)
    for n_loops in (1, 2, 3):
        found, expected = (each.model(IDS, n_loops=n_loops).logits for each in (again, looped))
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert again.weights_hash == looped.weights_hash


@torch.no_grad()
def test_a_threshold_among_the_settings_goes_before_the_trained_one(tmp_path: Path) -> None:
    published(tmp_path, threshold=2.0)
    model = load_model(str(tmp_path), device="cpu").model
    assert torch.equal(model(IDS, n_loops=1).logits, model(IDS, n_loops=3).logits)


class Runs:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("raise SystemExit('code of a checkpoint ran')",)


def test_a_decider_that_is_more_than_tensors_is_refused_and_not_run(tmp_path: Path) -> None:
    published(tmp_path)
    torch.save({"state_dict": Runs()}, tmp_path / "iter_decider.bin")
    with pytest.raises(InputError, match=r"iter_decider\.bin cannot be read as tensors alone"):
        load_model(str(tmp_path), device="cpu")


@pytest.mark.parametrize("part", ["iter_decider.bin", "lora/adapter_config.json", "lora/adapter_model.safetensors"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    published(tmp_path)
    (tmp_path / part).unlink()
    with pytest.raises(InputError, match=part.split("/")[-1].replace(".", r"\.")) as error:
        load_model(str(tmp_path), device="cpu")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "fields", "said"),
    [
        ("tah_config.json", {"iter_decider": "IterLabelDecider"}, "iter_decider 'IterLabelDecider': only 'MLPIter"),
        ("tah_config.json", {"input_updater_kwargs": {"use_hidden_states": True}}, "use_hidden_states is true"),
        ("lora/adapter_config.json", {"use_dora": True}, "adapter sets use_dora True"),
        ("config.json", {"model_type": "llama"}, "Think-at-Hard on 'llama': only 'qwen3' is known"),
    ],
)
def test_what_a_think_at_hard_folder_may_not_say(
    tmp_path: Path, file: str, fields: dict[str, object], said: str
) -> None:
    published(tmp_path)
    (tmp_path / file).write_text(json.dumps(json.loads((tmp_path / file).read_text()) | fields))
    with pytest.raises(InputError, match=said):
        peek(str(tmp_path))


@pytest.mark.parametrize(
    "file",
    [
        *("adapter_config.json", "adapter_model.safetensors", "iter_decider.bin", "value_head.pt", "lora.ckpt"),
        *("lora/adapter_config.json", "heads/medusa.safetensors"),
    ],
)
def test_a_file_that_would_change_the_model_is_refused_by_name(tmp_path: Path, file: str) -> None:
    folder = save_tiny(tiny_model(), tmp_path / "model")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(b"{}")
    with pytest.raises(InputError, match=f"{file.replace('.', chr(92) + '.')} beside its weights would change"):
        peek(str(folder))


@pytest.mark.parametrize(
    "file", ["training_args.bin", "optimizer.pt", "original/consolidated.00.pth", "checkpoint-10/model.safetensors"]
)
def test_other_forms_of_the_same_weights_and_what_training_left_are_passed_over(tmp_path: Path, file: str) -> None:
    folder = save_tiny(tiny_model(), tmp_path / "model")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(b"{}")
    peek(str(folder))
