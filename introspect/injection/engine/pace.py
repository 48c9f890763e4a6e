"""How many trials make a block: as many as are run within seconds, since a block is stored at once and lost at once.

Goes in: a model, a prompt, the longest answer. Comes out: a number that hangs on nothing that is measured, so that a
run that is continued has the blocks of an undisturbed one, and with them every digit.
"""

import torch

from introspect.injection.engine.block_stream import BLOCK
from introspect.models.looped_model import LoopedModel
from introspect.prompts import Encoded

AIM = 20.0
"""Seconds that a block may take on a machine of ordinary speed, with answers half as long as they may be."""
LONGEST = 30.0
"""Seconds after which a block was too large for this machine."""
FEWEST_ROWS = 4
"""Trials of the smallest block: a slow model runs a few rows in nearly the time of one."""
CALL = 1e-3
"""Seconds that a block of the model takes beside its arithmetic."""
SPEED = {"cpu": 3e10, "cuda": 5e13, "mps": 2e12}
"""Operations a second: of one thread, of one GPU."""


class Pace:
    """The trials of the next block: as planned, and fewer once one took too long."""

    def __init__(self, trials: int) -> None:
        self.trials = trials

    def note(self, trials: int, seconds: float) -> None:
        """Take note of how long a block took."""
        if seconds > LONGEST:
            self.trials = max(FEWEST_ROWS, min(self.trials, trials // 2))


def block_size(
    looped: LoopedModel, encoded: Encoded, *, n_loops: int, max_new_tokens: int, rows: int, sharing: int = 1
) -> int:
    """Return the trials of a block, at most BLOCK batches of so many rows; so many workers share the processor."""
    seconds = seconds_of_trial(looped, encoded, n_loops=n_loops, max_new_tokens=max_new_tokens, rows=rows)
    threads = max(1, torch.get_num_threads() // sharing) if looped.device.type == "cpu" else 1
    return min(BLOCK * rows, max(FEWEST_ROWS, int(AIM / seconds * threads)))


def seconds_of_trial(looped: LoopedModel, encoded: Encoded, *, n_loops: int, max_new_tokens: int, rows: int) -> float:
    """Guess what a trial takes on one thread, or on a GPU, among so many rows."""
    sites = looped.sites(n_loops)
    rest = len(encoded.token_ids) - min(encoded.span_start, len(encoded.token_ids) - 1)
    steps = max_new_tokens / 2
    weights = sum(parameter.numel() for site in sites for parameter in looped.locate(site, n_loops)[0].parameters())
    head = len(looped.tokenizer) * looped.d_model
    operations = 2 * (rest * weights + steps * (weights + head))
    alone = rest if looped.by_token else 0  # tokens of the prompt that are run one at a time
    return operations / SPEED[looped.device.type] + CALL * len(sites) * (steps + alone) / rows
