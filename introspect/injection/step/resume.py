"""The beginning of trials that have one first site: what is left of the prompt's forward behind that site.

Goes in: a prefix, rows of a cache, and which trials they are for. Come out: the logits after the prompt, as they are
and as they would be after every loop. A family that cannot go on behind a site is run from the tokens of the rest.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from introspect.injection.prefix.loop_ends import Ends
from introspect.injection.prefix.prefix import Prefix
from introspect.injection.step.injector import Injector
from introspect.models.row_cache import RowCache
from introspect.models.tap import Tap
from introspect.records.trial import LAST, Site


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
        self.ends = Ends(tap.looped, prefix.n_loops, prefix.exit)
        self.routed = None if prefix.routed is None else prefix.routed.expand(-1, self.n, -1)
        """Which tokens of the rest each loop has run, `(n_loops, trial, position)`; None where every loop runs all."""

    def run(self) -> Tensor:
        """Run what the injection can change and give the logits after the prompt, `(trial, vocabulary)`."""
        sites = self.tap.looped.sites(self.prefix.n_loops)
        known = len(sites) if self.site is None else sites.index(self.site) + 1
        self.cache.begin_like(self.prefix.clean, known, self.prefix.length)
        if self.site is None:
            return self.prefix.logits.expand(self.n, -1)
        return self._behind(self.site, sites[known - 1 :])

    def readouts(self, logits: Tensor) -> list[Tensor]:
        """Return the logits after every loop, `(trial, vocabulary)` each, given those that `run` gave."""
        clean = [each.expand(self.n, -1) for each in self.prefix.readouts[: self.first]]
        if self.site is None:
            return clean
        return [*clean, *self.ends.logits(self.first, self.cache, self.prefix.positions, logits)]

    def leaving(self) -> list[Tensor]:
        """Return the rate `(trial,)` at which the exit gate leaves after every loop; empty without a gate."""
        clean = [each.expand(self.n) for each in self.prefix.leaving[: self.first]]
        return clean if self.site is None else [*clean, *self.ends.leaving(self.first)]

    @property
    def first(self) -> int:
        """Return the first loop whose end an injection can change; that after the last one without any."""
        if self.site is None:
            return self.prefix.n_loops
        if self.tap.looped.by_token:  # what is added to one token reaches the first loop of the next
            return 0
        return min(max(self.site.loop, 0), self.prefix.n_loops - (self.site.stage == "coda"))

    def _behind(self, site: Site, sites: Sequence[Site]) -> Tensor:
        """Go on behind the first site from what the prompt's states are there."""
        prefix, state = self.prefix, self.prefix.states[site].repeat(self.n, 1, 1)
        states = {**{each: h.expand(self.n, -1, -1) for each, h in prefix.states.items() if each < site}, site: state}
        if not (self.tap.looped.resumes and prefix.exit == LAST):  # the gate reads the loops before, too
            return self._whole()
        visits = self.ends.watching(self.visits, sites)
        visits.pop(site)(state)
        arguments = prefix.arguments(self.cache)
        logits: Tensor = self.tap.run(visits, n_loops=prefix.n_loops, after=(site, states), **arguments).logits[:, -1]
        return logits

    def _whole(self) -> Tensor:
        """Run the rest of the prompt from its tokens."""
        prefix = self.prefix
        visits = self.ends.watching(self.visits, self.tap.looped.sites(prefix.n_loops))
        tokens = torch.tensor([prefix.encoded.token_ids[prefix.split :]], device=self.tap.looped.device)
        arguments = prefix.arguments(self.cache) | {"input_ids": tokens.expand(self.n, -1)}
        output = self.tap.run(visits, n_loops=prefix.n_loops, **arguments)
        self.ends.ran(output)
        self.routed = getattr(output, "routed", None)
        logits: Tensor = output.logits[:, -1]
        return logits
