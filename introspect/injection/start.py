"""The beginning of trials that have one first site: what is left of the prompt's forward behind that site.

Goes in: a prefix, rows of a cache, and which trials they are for. Come out: the logits after the prompt, and the state
of its last position after every loop.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from introspect.injection.injector import Injector
from introspect.injection.prefix import Prefix
from introspect.models.rows import RowCache
from introspect.models.tap import Tap, Visit
from introspect.records import Site


class Start:
    """Trials that begin at one site (None: nothing is injected), in rows of the cache that it was aimed at."""

    def __init__(
        self,
        tap: Tap,
        prefix: Prefix,
        cache: RowCache,
        injector: Injector,
        trials: Sequence[int],
        site: Site | None,
        weights: Tensor | None = None,
    ) -> None:
        self.tap, self.prefix, self.cache, self.site, self.n = tap, prefix, cache, site, len(trials)
        self.visits = injector.visits(trials, prefix.columns, weights=weights, measure=True)
        last = tap.looped.n_layers - 1
        self.last_states = [prefix.states[Site(loop, last)][:, -1].expand(self.n, -1) for loop in range(prefix.n_loops)]
        """After each loop, `(trial, d_model)`: at first with nothing injected, `run` puts in what it changes."""

    def run(self) -> Tensor:
        """Run what the injection can change and give the logits after the prompt, `(trial, vocabulary)`."""
        sites = self.tap.looped.sites(self.prefix.n_loops)
        known = len(sites) if self.site is None else sites.index(self.site) + 1
        self.cache.begin_like(self.prefix.clean, known, self.prefix.length)
        if self.site is None:
            return self.prefix.logits.expand(self.n, -1)
        state = self.prefix.states[self.site].repeat(self.n, 1, 1)
        visits = self._with_readouts(sites[known - 1 :])
        visits.pop(self.site)(state)
        positions = self.prefix.split + torch.arange(self.prefix.length, device=state.device)
        output = self.tap.run(
            visits,
            n_loops=self.prefix.n_loops,
            after=(self.site, {self.site: state}),
            position_ids=positions[None],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits

    def _with_readouts(self, sites: Sequence[Site]) -> dict[Site, Visit]:
        """Keep, behind the additions, the last position where a loop ends."""
        ends = [site for site in sites if site.layer == self.tap.looped.n_layers - 1]
        return self.visits | {site: partial(self._keep, site.loop, self.visits.get(site)) for site in ends}

    def _keep(self, loop: int, first: Visit | None, h: Tensor) -> None:
        if first is not None:
            first(h)
        self.last_states[loop] = h[:, -1].clone()
