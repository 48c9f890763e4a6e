"""How much a model was run, and how little would have done: one unit is one token through one block.

Goes in: what was run, trial by trial. Comes out: the least that the plan needs. The least takes as given that the
beginning of a prompt is run once for all trials, that a trial is run only behind its first site until its last token
but one, and that the answers are the ones that came out.
"""

from dataclasses import dataclass

from introspect.injection.prefix.prefix import Prefix
from introspect.records.response import Response


@dataclass
class Work:
    """Token-block forwards."""

    done: int = 0
    least: int = 0

    @property
    def ratio(self) -> float:
        """Return how many times the least was done; NaN when nothing was needed."""
        return self.done / self.least if self.least else float("nan")


def least_for_prompt(prefix: Prefix, n_sites: int) -> int:
    """Return what the prompt needs, once."""
    return len(prefix.encoded.token_ids) * n_sites


def least_for_trial(prefix: Prefix, n_sites: int, first: int | None, response: Response) -> int:
    """Return what a trial needs whose first site is the `first` in running order; None: nothing is injected."""
    behind = 0 if first is None else n_sites - first - 1
    return prefix.length * behind + (len(response.token_ids) - 1) * n_sites
