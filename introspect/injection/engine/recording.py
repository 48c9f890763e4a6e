"""The residual stream of one trial at every (loop, layer), for following it up.

Goes in: a trial and its response. Comes out: what every block put out, the injection included, in one uncached
forward over the tokens that the model saw.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from introspect.injection.engine.engine import Engine, key_of, prompt_key
from introspect.models.tap import Visit
from introspect.records.response import Response
from introspect.records.trial import Site, Trial


def record_residual(engine: Engine, trial: Trial, response: Response) -> Tensor:
    """Return the residual stream in the loops, `(n_loops, n_layers, tokens, d_model)` on the CPU.

    Tokens are those of the prompt and then the answer's, without the last, which was drawn and never read.
    Equal to what the cached run saw up to rounding.
    """
    looped, encoded = engine.tap.looped, engine.prompts[prompt_key(trial)]
    ids = [*encoded.token_ids, *response.token_ids[:-1]]
    stop = len(ids) if encoded.span_stop is None else encoded.span_stop
    weights = engine.prefix(key_of(trial)).weights([trial.injection])
    if weights is not None and encoded.span_stop is None:  # what goes on has the weight of the last span
        weights = torch.cat([weights, weights[:, -1:].expand(1, len(response.token_ids) - 1)], dim=1)
    with torch.inference_mode():
        adding = engine.injector([trial]).visits([0], slice(encoded.span_start, stop), weights=weights)
        kept = torch.empty(trial.n_loops, looped.n_layers, len(ids), looped.d_model, dtype=looped.dtype)
        visits = {site: _recorder(kept, site, adding.get(site)) for site in looped.sites(trial.n_loops)}
        tokens = torch.tensor([ids], device=looped.device)
        prompt = looped.prompt_arguments(torch.arange(len(ids), device=looped.device)[None] < len(encoded.token_ids))
        engine.tap.run(visits, n_loops=trial.n_loops, input_ids=tokens, use_cache=False, logits_to_keep=1, **prompt)
    return kept.clone()


def _recorder(kept: Tensor, site: Site, adding: Visit | None) -> Callable[[Tensor], None]:
    def visit(h: Tensor) -> None:
        if adding is not None:
            adding(h)
        if site.stage == "core":
            kept[site.loop, site.layer] = h[0].cpu()

    return visit
