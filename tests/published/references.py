"""The plain references of the families' own tests, each on the weights of a checkpoint under their published names.

Takes the weights in float64, the loaded model and its folder. Returns token ids and the logits of all loops.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import test_cotformer
import test_hrm_text
import test_loopformer
import test_nanbeige
import test_nanochat
import test_ouro
import test_parcae
import test_ponder
import test_ponderlm2
import test_raven
import test_retrofit
import torch
from torch import Tensor
from transformers.models.hrm_text import HrmTextForCausalLM
from transformers.models.hrm_text.modeling_hrm_text import HrmTextRMSNorm, HrmTextRotaryEmbedding

from introspect.families.parts.layers import Shared
from introspect.models.looped_model import LoopedModel

Weights = dict[str, Tensor]
Reference = Callable[[Weights, LoopedModel, Path], tuple[Tensor, Tensor]]


def _begin(looped: LoopedModel, ids: Tensor) -> Tensor:
    """Return the state before the first loop, which the published code draws at random."""
    whole = Shared(torch.arange(ids.shape[1])[None], None, None, None, ids.shape[1])
    begin: Tensor = looped.model.initial(torch.zeros(*ids.shape, 32, dtype=torch.float64), whole)
    return begin


def ouro(weights: Weights, looped: LoopedModel, _: Path) -> tuple[Tensor, Tensor]:
    ids = test_ouro.random_ids()
    states = test_ouro.reference_states(weights, looped.model.config, ids, looped.n_loops)
    return ids, states[-1] @ weights["lm_head.weight"].T


def huginn(weights: Weights, looped: LoopedModel, _: Path) -> tuple[Tensor, Tensor]:
    ids = test_raven.IDS
    return ids, test_raven.reference(weights, looped.model.config, ids, looped.n_loops, _begin(looped, ids))


def retrofit(weights: Weights, looped: LoopedModel, _: Path) -> tuple[Tensor, Tensor]:
    ids = test_retrofit.IDS
    return ids, test_retrofit.reference(weights, looped.model.config, looped.n_loops, _begin(looped, ids))


def parcae(weights: Weights, looped: LoopedModel, _: Path) -> tuple[Tensor, Tensor]:
    ids = test_parcae.IDS
    return ids, test_parcae.reference(weights, looped.model.config, looped.n_loops, _begin(looped, ids))[0]


def nanochat(weights: Weights, looped: LoopedModel, _: Path) -> tuple[Tensor, Tensor]:
    ids = test_nanochat.IDS
    return ids, test_nanochat.reference(weights, looped.model.config, looped.n_loops, _begin(looped, ids))[0]


def nanbeige(weights: Weights, looped: LoopedModel, _: Path) -> tuple[Tensor, Tensor]:
    return test_nanbeige.IDS, test_nanbeige.reference(weights, looped.model.config, looped.n_loops)


def ponder(weights: Weights, looped: LoopedModel, _: Path) -> tuple[Tensor, Tensor]:
    ids = test_ponder.IDS
    return ids, test_ponder.reference(weights, looped.model.config, ids, looped.n_loops)[-1:]


def ponderlm2(weights: Weights, looped: LoopedModel, _: Path) -> tuple[Tensor, Tensor]:
    ids, last = test_ponderlm2.IDS, looped.n_loops - 1
    states = test_ponderlm2.reference(weights, looped.model.config, ids, looped.n_loops)
    return ids, states[last] @ weights["embed_out.weight"].T


def loopformer(weights: Weights, looped: LoopedModel, _: Path) -> tuple[Tensor, Tensor]:
    ids = test_loopformer.IDS
    return ids, test_loopformer.reference(weights, looped.model.config, ids, looped.n_loops)


def cotformer(weights: Weights, looped: LoopedModel, _: Path) -> tuple[Tensor, Tensor]:
    ids = test_cotformer.IDS
    return ids, test_cotformer.reference(weights, looped.model.config, ids, looped.n_loops)


def hrm_text(_: Weights, looped: LoopedModel, folder: Path) -> tuple[Tensor, Tensor]:
    """Let transformers' own class read the folder, its norms and angles computed in float64."""
    ids = test_hrm_text.random_ids()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HrmTextRMSNorm, "forward", lambda norm, x: norm._norm(x))
        patch.setattr(HrmTextRotaryEmbedding, "forward", test_hrm_text.exact_angles)
        plain = HrmTextForCausalLM.from_pretrained(folder, dtype=looped.dtype).eval()
        plain.set_attn_implementation("sdpa")
        return ids, plain(ids, use_cache=False).logits


REFERENCES: dict[str, Reference] = {
    "ouro": ouro,
    "huginn": huginn,
    "retrofit_llama": retrofit,
    "retrofit_olmo": retrofit,
    "parcae": parcae,
    "nanochat": nanochat,
    "nanbeige": nanbeige,
    "ponder": ponder,
    "ponderlm2": ponderlm2,
    "loopformer": loopformer,
    "cotformer": cotformer,
    "hrm_text": hrm_text,
}
