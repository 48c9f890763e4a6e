"""Extraction: run contrastive prompts through a looped model and contrast its states at every (loop, layer).

Goes in: a Tap on a model and a Contrast. Come out: ConceptVectors, kept in a folder if one is given; and, for the arm
`swap`, the states of neutral prompts as they are.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from introspect.concepts.contrast_prompts import Contrast, baseline_contrast, pair_contrast
from introspect.concepts.pairs import PromptPairs
from introspect.concepts.prompt_states import NO_STATES, PromptStates
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.families.placement import dtype_name
from introspect.models.tap import Tap
from introspect.prompts import Prompt, Template, encode, render, template_named
from introspect.protocols.material import sentences

STATES_TEMPLATE = "plain"
"""Template of the prompts whose states are recorded: a sentence as it stands, as the user's turn."""
_BATCH_SIZE = 32
"""Prompts in one pass. Fixed, so that the vectors do not depend on how a sweep is batched."""


def extract(
    tap: Tap,
    words: Sequence[str],
    baseline: Sequence[str],
    *,
    template: Template | None = None,
    batch_size: int = _BATCH_SIZE,
    n_loops: int | None = None,
) -> ConceptVectors:
    """Contrast the prompt about each word with the mean over those about the baseline words, itself left out."""
    return measure(tap, baseline_contrast(words, baseline, template), batch_size=batch_size, n_loops=n_loops)


def extract_pairs(
    tap: Tap,
    words: Sequence[str],
    pairs: PromptPairs,
    *,
    template: Template | None = None,
    batch_size: int = _BATCH_SIZE,
    n_loops: int | None = None,
) -> ConceptVectors:
    """Contrast the positive prompts of each word's pairs with the negative ones."""
    return measure(tap, pair_contrast(words, pairs, template), batch_size=batch_size, n_loops=n_loops)


def measure(
    tap: Tap, contrast: Contrast, *, batch_size: int = _BATCH_SIZE, n_loops: int | None = None
) -> ConceptVectors:
    """Run the prompts (default: the loops as trained) and give mean state with the concept minus mean state without.

    A state is the residual stream after a block, at the last token before the answer.
    """
    states = _last_states(tap, contrast.prompts, batch_size, n_loops)
    weights = torch.zeros(len(contrast.words), len(contrast.prompts), dtype=torch.float64)
    for row, (positive, negative) in enumerate(zip(contrast.positive, contrast.negative, strict=True)):
        _spread(weights[row], positive, 1.0)
        _spread(weights[row], negative, -1.0)
    values = torch.einsum("wp,psd->wsd", weights, states.double()).float()
    core, outside = _by_stage(tap, values, n_loops)
    return ConceptVectors(contrast.words, core, manifest_of(tap, contrast, n_loops=n_loops), outside)


def record_states(tap: Tap, *, n_loops: int | None = None) -> PromptStates:
    """Run the neutral sentences (default: the loops as trained) and keep the state at the last token of each prompt."""
    template, texts = template_named(STATES_TEMPLATE), _neutral_texts()
    prompts = [render(template, text=text) for text in texts]
    core, outside = _by_stage(tap, _last_states(tap, prompts, _BATCH_SIZE, n_loops), n_loops)
    return PromptStates(texts, core, states_manifest(tap, n_loops=n_loops), outside)


def states_manifest(tap: Tap, *, n_loops: int | None = None) -> dict[str, Any]:
    """Say what makes the states of neutral sentences, before they are made."""
    template, texts = template_named(STATES_TEMPLATE), _neutral_texts()
    made_from = {"template": template.name, "template_hash": template.hash, "texts": list(texts)}
    return _made_on(tap, made_from, render(template, text=texts[0]), n_loops)


def manifest_of(tap: Tap, contrast: Contrast, *, n_loops: int | None = None) -> dict[str, Any]:
    """Say what makes the vectors, before they are made."""
    return _made_on(tap, contrast.made_from, contrast.prompts[0], n_loops)


def cached(
    folder: Path,
    manifest: dict[str, Any],
    make: Callable[[], ConceptVectors],
    states: dict[str, Any] | None = None,
) -> ConceptVectors:
    """Reopen the vectors that this manifest describes from the folder, or make them and keep them there.

    `states` is the manifest of the states of neutral prompts, where they are needed as well. Raises InputError for a
    file that holds something else.
    """
    key = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"vectors-{key}.safetensors"
    if not path.exists():
        vectors = make()
        assert vectors.manifest == manifest, (vectors.manifest, manifest)
        vectors.save(path)
        return vectors
    vectors = ConceptVectors.open(path)
    if vectors.manifest != manifest:
        raise InputError(f"{path} holds other concept vectors than its name says; delete it to have them made anew")
    if states is not None and (vectors.states is None or vectors.states.manifest != states):
        raise InputError(f"{path} holds {NO_STATES}; delete it to have them recorded")
    return vectors


def _neutral_texts() -> tuple[str, ...]:
    """Return the neutral sentences about things that can be seen or touched.

    They say neither yes nor no, as the plain questions would at their last token, and no difference of two of them is
    that between what is abstract and what is not.
    """
    return tuple(sentence.text for sentence in sentences() if not sentence.abstract)


def _made_on(tap: Tap, made_from: dict[str, Any], first: Prompt, n_loops: int | None) -> dict[str, Any]:
    """Add the model to what something is made from, and the day where its prompts are given one."""
    looped = tap.looped
    day = encode(first, looped.tokenizer, need_span=False).date
    return {
        **made_from,
        "model": looped.name,
        "weights_hash": looped.weights_hash,
        "dtype": dtype_name(looped.dtype),
        "n_loops": looped.n_loops if n_loops is None else n_loops,
        **({} if day is None else {"date": day}),
    }


def _by_stage(tap: Tap, values: Tensor, n_loops: int | None) -> tuple[Tensor, dict[str, Tensor]]:
    """Part `(row, site, d_model)` into the core, `(row, loop, layer, d_model)`, and others, `(row, layer, d_model)`."""
    looped, loops = tap.looped, tap.looped.n_loops if n_loops is None else n_loops
    before, core, behind = values.split([len(looped.prelude), loops * looped.n_layers, len(looped.coda)], dim=1)
    outside = {stage: part for stage, part in (("prelude", before), ("coda", behind)) if part.shape[1]}
    return core.unflatten(1, (loops, looped.n_layers)), outside


def _last_states(tap: Tap, prompts: Sequence[Prompt], batch_size: int, n_loops: int | None) -> Tensor:
    """Return the state of every prompt's last token at every site, `(prompt, site, d_model)`, float32."""
    tokenizer = tap.looped.tokenizer
    rows = [encode(prompt, tokenizer, need_span=False).token_ids for prompt in prompts]
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return torch.cat([_batch_states(tap, batch, n_loops) for batch in batches])


def _batch_states(tap: Tap, rows: list[tuple[int, ...]], n_loops: int | None) -> Tensor:
    looped = tap.looped
    loops = looped.n_loops if n_loops is None else n_loops
    length = max(map(len, rows))
    ids = torch.tensor([[looped.pad_id] * (length - len(row)) + list(row) for row in rows], device=looped.device)
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows], device=looped.device)
    sites = looped.sites(loops)
    states = torch.empty(len(rows), len(sites), looped.d_model, device=looped.device)

    def visit(index: int) -> Callable[[Tensor], None]:
        def copy(h: Tensor) -> None:
            states[:, index] = h[:, -1]

        return copy

    visits = {site: visit(index) for index, site in enumerate(sites)}
    prompt = looped.prompt_arguments(mask)
    tap.run(visits, n_loops=loops, input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1, **prompt)
    return states.cpu()


def _spread(weights: Tensor, indices: Sequence[int], total: float) -> None:
    """Add `total`, spread evenly over the indices (one that stands twice counts twice)."""
    at = torch.tensor(indices)
    weights.index_add_(0, at, torch.full(at.shape, total / len(indices), dtype=weights.dtype))
