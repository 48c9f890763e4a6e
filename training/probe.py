"""A quick look at an organism while it learns: the probability of yes at the first answer token, per site, and whether
the concept would be named next. Held-out concepts unless told otherwise; no sampling.

Run: python -m training.probe FOLDER [--strength 2] [--split held-out]
"""

import argparse

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from introspect.models.ouro import OuroForCausalLM
from introspect.prompts import encode, render, template_named
from training.dialogues import YES
from training.language import words
from training.train_introspection import Dose, additions, injected_states, vectors


@torch.no_grad()
def probe(
    model: OuroForCausalLM, tokenizer: PreTrainedTokenizerFast, strength: float, split: str, seed: int = 0
) -> str:
    """Describe the model in a few lines: for each loop, one figure a layer."""
    everything = words(seed)
    chosen = [word for word in everything if word.split == split][:48]
    index = {word.text: i for i, word in enumerate(everything)}
    known = vectors(model, tokenizer, everything)
    prompt = encode(render(template_named("detect")), tokenizer)
    start = tokenizer(YES.split("{", maxsplit=1)[0].rstrip(), add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[*prompt.token_ids, *start]] * len(chosen))
    names = torch.tensor([tokenizer(f" {word.text}", add_special_tokens=False)["input_ids"][0] for word in chosen])
    lines = []
    for kind in ("none", "concept", "random"):
        for loop in range(1 if kind == "none" else 4):
            cells = []
            for layer in range(4):
                doses = [Dose(kind, word, loop, layer, strength) for word in chosen]
                added = additions(doses, known, index, torch.Generator().manual_seed(1))
                logits = model.lm_head(injected_states(model, prompt, ids, doses, added)[-1])
                yes = logits[:, -len(start) - 1].softmax(-1)[:, start[0]].mean().item()
                named = (logits[:, -1].argmax(-1) == names).float().mean().item()
                cells.append(f"{yes:5.2f}/{named:4.2f}")
            lines.append(f"{kind:8s} loop {loop}: " + "  ".join(cells))
    return "\n".join(["P(yes)/named by layer 0 to 3", *lines, _geometry(known, everything)])


def _geometry(known: torch.Tensor, everything: list) -> str:
    """Say how much of the held-out vectors lies in the 32 main directions of the trained ones, per loop at layer 2."""
    trained = torch.tensor([word.split == "trained" for word in everything])
    held = torch.tensor([word.split == "held-out" for word in everything])
    shares = []
    for loop in range(4):
        basis = torch.linalg.svd(known[trained, loop, 2], full_matrices=False).Vh[:32]
        v = known[held, loop, 2]
        shares.append(f"{((v @ basis.T).norm(dim=-1) ** 2 / v.norm(dim=-1) ** 2).mean():.2f}")
    return f"norm by site {known[held].norm(dim=-1).mean(0).tolist()}\nheld-out share in 32 main directions {shares}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--strength", type=float, default=2.0)
    parser.add_argument("--split", default="held-out")
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    model = OuroForCausalLM.from_pretrained(options.folder, dtype=torch.float32).eval()
    print(probe(model, tokenizer, options.strength, options.split))
