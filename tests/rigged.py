"""A judge with known verdicts: a tiny model whose weights make it say that an answer notices a thought if it says Yes.

One attention head looks for the token `Yes` anywhere before; the rest is a table from the last token to the next.
"""

import json
from pathlib import Path

import torch
from judged import NO, YES
from swept import save_quietly
from tiny import tiny_config, tiny_tokenizer
from tokenizers import AddedToken

from introspect.families.ouro.adapter import OuroLooped
from introspect.families.ouro.model import OuroForCausalLM

SAYS_YES = {**YES, "detected_quote": "Yes", "identified": "no", "identified_quote": ""}
VERDICTS = {"yes": json.dumps(SAYS_YES), "no": json.dumps(NO)}


def save_rigged_judge(folder: Path) -> Path:
    """Save the model and its tokenizer, to which both verdicts are one token each."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ("Yes", *VERDICTS.values())])
    config = tiny_config(n_layers=1, n_loops=1, d_model=32, max_position_embeddings=16384)
    config.vocab_size = len(tokenizer)
    model = OuroForCausalLM(config)
    opening, *_ = tokenizer("\n")["input_ids"]
    ids = {name: tokenizer.convert_tokens_to_ids(text) for name, text in VERDICTS.items()}
    with torch.no_grad():
        _rig(model, opening, tokenizer.convert_tokens_to_ids("Yes"), ids, tokenizer.eos_token_id)
    return save_quietly(OuroLooped("rigged", model.eval(), tokenizer), folder)


def _rig(model: OuroForCausalLM, opening: int, says: int, verdicts: dict[str, int], end: int) -> None:
    for name, weight in model.named_parameters():
        weight.fill_(1.0 if "norm" in name else 0.0)
    embedding, block = model.model.embed_tokens.weight, model.model.layers[0]
    embedding[:, 4:] = torch.randn(embedding[:, 4:].shape, generator=torch.Generator().manual_seed(0))
    for token, axis in ((opening, 0), (verdicts["yes"], 2), (verdicts["no"], 2), (says, 3)):
        embedding[token] = torch.eye(embedding.shape[1])[axis]
    block.self_attn.v_proj.weight[0, 3] = 100.0  # the token Yes, seen from every later position
    block.self_attn.o_proj.weight[1, 0] = 1.0
    block.input_layernorm_2.weight.fill_(0.5 / embedding.shape[1] ** 0.5)
    model.lm_head.weight[verdicts["no"], 0] = 5.0
    model.lm_head.weight[verdicts["yes"], :2] = torch.tensor([4.0, 10.0])
    model.lm_head.weight[end, 2] = 10.0
