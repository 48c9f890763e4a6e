"""Tap: visit the residual stream at chosen sites during one forward pass, through nnsight.

Goes in: a function for each site, which reads the live output of its block or changes it in place. Comes out: the
model's output. A site that was not visited exactly once is an error, and then nothing comes out.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from nnsight import NNsight, save
from nnsight._c import unmount
from nnsight.intervention.envoy import Envoy
from nnsight.intervention.interleaver import OutOfOrderError
from torch import Tensor, nn

from introspect.models.bare_copy import bare_copy
from introspect.models.looped_model import LoopedModel, SiteError
from introspect.records.trial import Site

unmount("save")
"""nnsight gives every object of the process a method `save`, over which other libraries fall: anyio, and so the judge's
client, takes it for an attribute of its classes without a type. `save(value)` does the same without it."""

Visit = Callable[[Tensor], None]
"""Called with the live block output `(batch, position, d_model)`. Where a model runs its tokens one after another, it
is called again with every token, the states behind it zero, and the last call is the one that counts: a visit sets
what it keeps, it never adds up. It changes each position by itself."""
_Planned = tuple[Site, nn.Module, int, Visit]


class _Closed(Envoy):
    """A block that is instrumented as a whole: nothing inside it is, which is what keeps a traced forward fast."""

    def _add_envoy(self, name: str, module: nn.Module) -> None:
        pass


class Tap:
    """Access to the blocks of one model; make it after everything that changes the model's modules."""

    def __init__(self, looped: LoopedModel) -> None:
        self.looped = looped
        self.work = 0
        """Token-block forwards run so far: one is one token of one row through one block once."""
        self.calls = 0
        """Calls of a block so far, whatever number of tokens and rows each was for."""
        blocks = (*looped.prelude, *looped.blocks, *looped.coda)
        self._traced = NNsight(looped.model, envoys={type(block): _Closed for block in looped.closed})
        paths = {module: path for path, module in looped.model.named_modules()}
        self._block = {block: self._traced.get(paths[block]) for block in blocks}

    @cached_property
    def bare(self) -> Any:  # Any: as of the model
        """Return a copy of the model with the same weights, around which nothing is wrapped."""
        return bare_copy(self.looped.model)

    def count(self, tokens: int, sites: Sequence[Site]) -> None:
        """Take note of a forward run elsewhere: so many tokens, one a row, through the blocks of these sites."""
        self.work += tokens * len(sites)
        self.calls += len(sites)

    @torch.no_grad()
    def run(
        self,
        visits: Mapping[Site, Visit],
        *,
        n_loops: int | None = None,
        after: tuple[Site, Mapping[Site, Tensor]] | None = None,
        **inputs: Any,
    ) -> Any:
        """Run one forward of `n_loops` loops (default: as trained) and give the model's output.

        Each visit is called with the live block output `(batch, position, d_model)`, in running order, and may
        change it in place. `inputs` are the forward's own arguments. `after` goes on behind a site, given the states
        of all sites up to it, instead of beginning with tokens. Raises SiteError for a site that does not exist in so
        many loops or lies before, before anything is run, or that was not visited exactly once.
        """
        loops = self.looped.n_loops if n_loops is None else n_loops
        inputs = {**self.looped.forward_arguments(loops), **inputs}
        sites = self.looped.sites(loops)
        passed = [] if after is None else [site for site in sites if site <= after[0]]
        if after is None:
            tokens = inputs["input_ids"].numel()
        else:
            site, states = after
            behind = self.looped.resume_arguments(site, states)
            assert behind is not None, f"{type(self.looped).__name__} cannot go on behind a site"
            inputs, tokens = inputs | behind, states[site].shape[:-1].numel()
        columns = inputs["input_ids"].shape[1] if self.looped.by_token else 1
        self.work += tokens * (len(sites) - len(passed))
        self.calls += (len(sites) - len(passed)) * columns
        before = Counter(self.looped.locate(site, loops)[0] for site in passed)
        plan = [(site, *self._call(site, loops, before), visits[site]) for site in sorted(visits)]
        if not plan:
            return self.looped.model(**inputs)
        if columns > 1:
            plan = _token_by_token(plan, columns, loops)
        planned = [site for site, *_ in plan]
        try:
            visited, output = self._trace(plan, inputs)
        except OutOfOrderError as error:
            raise SiteError(f"a forward of {loops} loops did not reach all of {_listed(planned)}") from error
        if visited != planned:
            raise SiteError(f"planned sites {_listed(planned)}; visited {_listed(visited)}")
        return output

    def _call(self, site: Site, loops: int, before: Mapping[nn.Module, int]) -> tuple[nn.Module, int]:
        """Return a site's block and which of its calls it is in a forward that leaves out so many calls of each."""
        block, call = self.looped.locate(site, loops)
        if call < before.get(block, 0):
            raise SiteError(f"site {site}: the forward begins behind it")
        return block, call - before.get(block, 0)

    def _trace(self, plan: list[_Planned], inputs: dict[str, Any]) -> tuple[list[Site], Any]:
        """Run the forward; where nnsight cuts the body of `with` short, `visited` ends early."""
        visited: list[Site] = []
        output = None
        with self._traced.trace(**inputs) as tracer:
            for site, block, call, visit in plan:
                for _ in tracer.iter[call]:  # a pin holds for one request only, hence one pin a site
                    visit(self._block[block].output)
                visited.append(site)
            output = save(tracer.result)
        return visited, output


class _Growing:
    """The states of a site over the tokens so far, shown to its visit whenever a token has come to them."""

    def __init__(self, visit: Visit, columns: int) -> None:
        self._visit, self._columns = visit, columns
        self._states: Tensor | None = None

    def grow(self, column: int, h: Tensor) -> None:
        """Put in one token's state `(batch, 1, d_model)` as its block gave it, and give back what the visit made of it.

        The states before are kept as their blocks gave them, so that nothing is added to them twice.
        """
        if self._states is None:
            self._states = h.new_zeros(h.shape[0], self._columns, h.shape[2])
        self._states[:, column] = h[:, 0]
        shown = self._states.clone()
        self._visit(shown)
        h[:, 0] = shown[:, column]


def _token_by_token(plan: list[_Planned], columns: int, loops: int) -> list[_Planned]:
    """Plan the visits of a forward that runs each token through all loops before the next one."""
    growing = [(site, block, call, _Growing(visit, columns)) for site, block, call, visit in plan]
    return [
        (site, block, column * loops + call, partial(states.grow, column))
        for column in range(columns)
        for site, block, call, states in growing
    ]


def _listed(sites: list[Site]) -> str:
    return ", ".join(map(str, sites)) or "none"
