"""Published layouts: the fields of a config.json, and the names and shapes of weights, as one JSON file each.

Takes those files. Returns layouts, and checkpoints of them in small. In a file, `checkpoints` has hub ids with the
fields in which one differs, and its parameters where its name says them; `fields` is null where the sizes are not
known, and `config` then has the published code's defaults. `small` has sizes for a test. `own` are fields that are read
here and in no published file, with the reason. `passed_over` are tensors in published files that nothing reads. In a
name, `{field}` counts from 0; a shape is in fields and numbers.
"""

import json
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tiny import tiny_tokenizer
from torch import Tensor

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Layout:
    """One published layout."""

    model_type: str
    """Of `FAMILIES`."""
    checkpoints: dict[str, dict[str, Any]]
    config: dict[str, Any]
    small: dict[str, Any]
    weights: dict[str, str]
    own: dict[str, str] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)
    tied: dict[str, str] = field(default_factory=dict)
    """Weights that a file may leave out, and what stands in their place."""
    prefixes: list[str] = field(default_factory=list)
    """What may stand before every name."""
    file: str = "model.safetensors"
    tokenizer: str | None = None
    """Hub id of the tokenizer, where it is in a repository of its own."""

    @property
    def small_config(self) -> dict[str, Any]:
        """Return a config.json of this layout for a test."""
        rows = {name: len(tiny_tokenizer()) for name in ("vocab_size", "padded_vocab_size") if name in self.config}
        return self.config | self.small | rows

    def shapes(self, fields: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight by its name, for a config.json."""
        found = {}
        for pattern, shape in self.weights.items():
            sizes = tuple(_size(each, fields) for each in shape.split())
            found |= dict.fromkeys(_names(pattern, fields), sizes)
        return found

    def tensors(self, seed: int = 0) -> dict[str, Tensor]:
        """Return random weights of the small config, gains away from 1, tied ones alike."""
        source = torch.Generator().manual_seed(seed)
        made = {}
        for name, shape in self.shapes(self.small_config).items():
            noise = 0.3 * torch.randn(shape, generator=source)
            made[name] = noise + (len(shape) == 1 and name.endswith("weight"))
        return made | {name: made[other] for name, other in self.tied.items()}

    def write(self, folder: Path, tensors: dict[str, Tensor]) -> Path:
        """Write a checkpoint with the small config and these weights; return the folder, its tokenizer in `words`."""
        (folder / "words").mkdir(parents=True)
        (folder / "model").mkdir()
        (folder / "model" / "config.json").write_text(json.dumps(self.small_config))
        tiny_tokenizer().save_pretrained(folder / ("model" if self.tokenizer is None else "words"))
        if self.file.endswith(".safetensors"):
            alone = {name: tensor.clone() for name, tensor in tensors.items()}
            save_file(alone, folder / "model" / self.file, {"format": "pt"})
        else:
            torch.save(tensors, folder / "model" / self.file)
        return folder / "model"

    def extra(self) -> dict[str, Tensor]:
        """Return the tensors that nothing reads, in shapes of no meaning."""
        return {name: torch.rand(2, 3) for name in self.passed_over}


def read_layouts() -> dict[str, Layout]:
    """Return all layouts by their names."""
    return {path.stem: Layout(**json.loads(path.read_text())) for path in sorted(FOLDER.glob("*.json"))}


def _size(text: str, fields: dict[str, Any]) -> int:
    """Return one size: a sum of products of numbers and fields."""
    factors = [[int(each) if each.isdigit() else fields[each] for each in part.split("*")] for part in text.split("+")]
    return sum(prod(each) for each in factors)


def _names(pattern: str, fields: dict[str, Any]) -> list[str]:
    """Return the names that a pattern stands for."""
    before, _, rest = pattern.partition("{")
    counted, _, after = rest.partition("}")
    return [f"{before}{number}{after}" for number in range(fields[counted])] if counted else [pattern]
