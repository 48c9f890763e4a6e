"""What a trial costs in a sweep, from a few that were run: pure arithmetic.

    seconds of a piece = call * block calls + token * tokens through blocks

The two are fitted, since a sample has fewer rows side by side than a block of the sweep: there a call serves more of
them. How many calls a block of the sweep takes follows from the lengths of the answers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from introspect.injection.engine.batch import REFILL


@dataclass(frozen=True)
class CostPiece:
    """Trials of one question that were run together."""

    lengths: tuple[int, ...]
    """Tokens of each answer."""
    injected: int
    """How many of them were injected."""
    starts: int
    """Forwards behind the prompt: one for each first site."""
    calls: int
    """Calls of a block of the model."""
    walked: int
    """How many of them were over tokens of answers."""
    tokens: int
    """Tokens through blocks."""
    sites: float
    """Blocks that a whole forward calls, a mean over the trials."""
    seconds: float
    """Without prompts and grading."""
    grading: float = 0.0
    """Seconds of grading."""

    @property
    def trials(self) -> int:
        """Count them."""
        return len(self.lengths)

    @property
    def mean(self) -> float:
        """Return the mean number of tokens that were run of an answer: the last one is not."""
        return sum(self.lengths) / self.trials - 1


@dataclass(frozen=True)
class Crowd:
    """How the trials of a question stand together in the sweep."""

    pool: int
    """Trials of one prompt in a block."""
    rows: int
    """Rows side by side."""
    alike: int
    """Trials that follow one another and begin at one site."""


@dataclass(frozen=True)
class Costs:
    """Seconds of a call of a block, and of a token through it."""

    call: float
    token: float

    def seconds(self, calls: float, tokens: float) -> float:
        """Add up."""
        return self.call * calls + self.token * tokens

    def trial(self, piece: CostPiece, crowd: Crowd) -> float:
        """Return the seconds of a trial like those of a piece, in the sweep."""
        start = (piece.calls - piece.walked) / max(1, piece.starts) * started(piece, crowd)
        walk = stepped(piece, crowd) * piece.sites
        misfit = piece.seconds / self.seconds(piece.calls, piece.tokens)
        return misfit * self.seconds(start + walk, piece.tokens / piece.trials) + piece.grading / piece.trials


def merged(pieces: Sequence[CostPiece]) -> CostPiece:
    """Add up pieces of one question."""
    trials = sum(piece.trials for piece in pieces)
    return CostPiece(
        lengths=tuple(length for piece in pieces for length in piece.lengths),
        injected=sum(piece.injected for piece in pieces),
        starts=sum(piece.starts for piece in pieces),
        calls=sum(piece.calls for piece in pieces),
        walked=sum(piece.walked for piece in pieces),
        tokens=sum(piece.tokens for piece in pieces),
        sites=sum(piece.sites * piece.trials for piece in pieces) / trials,
        seconds=sum(piece.seconds for piece in pieces),
        grading=sum(piece.grading for piece in pieces),
    )


def fitted_costs(pieces: Sequence[CostPiece]) -> Costs:
    """Fit the two to pieces, by least squares of what each is missed by in proportion."""
    observed = np.array([[piece.calls / piece.seconds, piece.tokens / piece.seconds] for piece in pieces])
    scale = observed.max(axis=0)
    call, token = nnls(observed / scale, np.ones(len(pieces)))[0] / scale
    return Costs(float(call), float(token))


def stepped(piece: CostPiece, crowd: Crowd) -> float:
    """Return the forwards over answers that fall to a trial: the longest answer, and a mean one for each more batch."""
    longest = max(piece.lengths) - 1 if crowd.pool > 1 else piece.mean
    batches = max(1.0, crowd.pool / crowd.rows)
    return (longest + (batches - 1) * piece.mean) / crowd.pool


def started(piece: CostPiece, crowd: Crowd) -> float:
    """Return the forwards behind the prompt that fall to a trial.

    Rows are filled again a part at a time: at least the REFILL-th, all where answers are of one length; taken is the
    middle of both.
    """
    refilled = crowd.rows / math.sqrt(REFILL)
    together = crowd.pool if crowd.pool <= crowd.rows else refilled
    return piece.injected / piece.trials * min(1.0, 1 / crowd.alike + 1 / together)
