"""LoopUS: the pretrained model's own layers in loops, held against a plain walk over those of transformers."""

import json
from pathlib import Path

import pytest
import torch
from tiny import save_tiny
from tiny_loopus import base_settings, tiny_loopus, tiny_loopus_config
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from introspect.errors import InputError
from introspect.families.loading import load_model
from introspect.families.loopus.model import LoopUsLooped
from introspect.families.registry import family_of

IDS = torch.tensor([[5, 60, 70, 80, 90, 17, 33], [9, 8, 7, 6, 5, 4, 3]])
PLACES = {"encoder.layers.0": 0, "reasoning.layers.0": 1, "reasoning.layers.1": 2, "decoder.layers.0": 3}


def pretrained(looped: LoopUsLooped) -> torch.nn.Module:
    """Make the pretrained model of transformers that has the same layers."""
    settings = dict(looped.model.config.base_config_dict)
    plain = AutoModelForCausalLM.from_config(AutoConfig.for_model(settings.pop("model_type"), **settings))
    names = {"encoder.embed_tokens": "model.embed_tokens", "decoder.norm": "model.norm", "decoder.lm_head": "lm_head"}
    names |= {place: f"model.layers.{number}" for place, number in PLACES.items()}
    weights = {}
    for name, weight in looped.model.state_dict().items():
        place = next((place for place in names if name.startswith(f"{place}.")), None)
        if place is not None:
            weights[names[place] + name.removeprefix(place)] = weight
    plain.load_state_dict(weights)
    return plain.to(looped.dtype).eval()


def reference(looped: LoopUsLooped, n_loops: int) -> Tensor:
    """Walk over the layers of transformers without a cache, and mix by the gate's formula."""
    plain, w = pretrained(looped), looped.model.state_dict()
    layers, n = plain.model.layers, IDS.shape[1]
    h = plain.model.embed_tokens(IDS)
    angles = plain.model.rotary_emb(h, torch.arange(n)[None])
    mask = torch.zeros(1, 1, n, n, dtype=h.dtype).masked_fill(torch.ones(n, n).triu(1).bool(), float("-inf"))

    def layer(number: int, h: Tensor) -> Tensor:
        out = layers[number](h, attention_mask=mask, position_embeddings=angles)
        return out[0] if isinstance(out, tuple) else out

    h = layer(0, h)
    for _ in range(n_loops):
        new = layer(2, layer(1, h))
        low = (new - h) @ w["reasoning.gate.dt_input_proj.weight"].T
        step = (low @ w["reasoning.gate.delta_proj.weight"].T + w["reasoning.gate.delta_proj.bias"]).exp().add(1).log()
        kept = (-step * w["reasoning.gate.A_log"].exp()).exp()
        h = kept * new + (1 - kept) * h
    return plain.lm_head(plain.model.norm(layer(3, h)))


@pytest.mark.parametrize("base", ["qwen3", "phi3"])
@pytest.mark.parametrize("n_loops", [1, 2, 3, 5])
@torch.no_grad()
def test_it_loops_the_pretrained_layers_and_mixes_by_the_gate(base: str, n_loops: int) -> None:
    looped = tiny_loopus(dtype=torch.float64, base=base)
    found = looped.model(IDS, **looped.forward_arguments(n_loops)).logits
    torch.testing.assert_close(found, reference(looped, n_loops), rtol=1e-5, atol=1e-5)  # their angles are in float32


@pytest.mark.parametrize("base", ["qwen3", "phi3"])
@torch.no_grad()
def test_with_an_open_gate_and_one_loop_it_is_the_pretrained_model(base: str) -> None:
    looped = tiny_loopus(base=base)
    looped.model.reasoning.gate.A_log.fill_(float("-inf"))
    found = looped.model(IDS, **looped.forward_arguments(1)).logits
    torch.testing.assert_close(found, pretrained(looped)(IDS).logits, rtol=1e-4, atol=1e-4)


def published(**changes: object) -> dict[str, object]:
    base = {
        **{"model_type": "qwen3", "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28},
        **{"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "rms_norm_eps": 1e-6},
        **{"rope_theta": 1000000, "rope_scaling": None, "vocab_size": 151936, "tie_word_embeddings": False},
        **{"attention_bias": False, "use_sliding_window": False, "sliding_window": None, "max_window_layers": 28},
    }
    return {
        **{"model_type": "lds", "base_model_name_or_path": "Qwen/Qwen3-1.7B", "hidden_size": 2048, "N": 20},
        **{"vocab_size": 151936, "encoder_layer_indices": [0, 1], "decoder_layer_indices": [27]},
        **{"reasoning_layer_indices": list(range(2, 27)), "q_threshold": 0.9, "q_eval_interval": 1},
        **{"halting_strategy": "threshold", "convergence_epsilon": 0.01, "lma_window": 0, "lma_heads": 8},
        "base_config_dict": base | changes.pop("base", {}),
        **changes,
    }


def test_a_config_as_the_published_class_writes_it_is_read_as_it_stands() -> None:
    assert family_of(published(), name="x") is LoopUsLooped
    config = LoopUsLooped.config_of(published())
    assert (LoopUsLooped.counts(config), LoopUsLooped.outside(config)) == ((20, 25), (2, 1))
    short = LoopUsLooped.config_of(published(decoder_layer_indices=[-26], reasoning_layer_indices=None))
    assert (short.decoder_layer_indices, short.stage_sizes) == ([26, 27], (2, 24, 2))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base": {"model_type": "llama"}}, "base_config_dict has model_type 'llama': LoopUS is known on qwen3, phi3"),
        ({"base_config_dict": None}, "base_config_dict is missing"),
        ({"base": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}}, "rope_parameters .*yarn"),
        ({"base": {"use_sliding_window": True, "sliding_window": 64}}, "sliding_window 64"),
        ({"base": {"an_option_of_tomorrow": 3}}, "an_option_of_tomorrow 3"),
        ({"lma_window": 2}, "lma_window 2"),
        ({"encoder_layer_indices": [], "reasoning_layer_indices": None}, "0 encoder and 27 reasoning layers"),
        ({"reasoning_layer_indices": [2, 3]}, "are not the 28 layers, each once"),
        ({"reasoning_layer_indices": list(range(1, 26))}, "are not the 28 layers, each once"),
        ({"N": 0}, "N 0: a looped model runs at least one loop"),
    ],
)
def test_what_it_does_not_compute_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        LoopUsLooped.config_of(published(**changes))


def test_older_names_of_weights_are_read(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder, looped = save_tiny(tiny_loopus(), tmp_path), tiny_loopus()
    weights = load_file(folder / "model.safetensors")
    old = {name.replace("reasoning.", "plateau.", 1): weight for name, weight in weights.items()}
    assert old.keys() != weights.keys()
    save_file(old, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_model(str(folder), device="cpu").weights_hash == looped.weights_hash


def test_the_config_that_is_saved_holds_that_of_the_pretrained_model(tmp_path: Path) -> None:
    saved = json.loads((save_tiny(tiny_loopus(base="phi3"), tmp_path) / "config.json").read_text())
    assert saved["base_config_dict"]["model_type"] == "phi3"
    assert tiny_loopus_config(base_config_dict=base_settings("phi3")).stage_sizes == (1, 2, 1)
