"""Rotary angles as Llama 3 has them: a GGUF file holds what divides each of them, and not the settings behind that.

    wavelength = 2 pi theta^(2i / d);  s = (original / wavelength - low) / (high - low), held between 0 and 1
    divisor    = 1 / ((1 - s) / factor + s)

Goes in: the divisors. Comes out: the settings of transformers that give just these, or nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TENSOR = "rope_freqs.weight"
LOW, HIGH, ORIGINAL = 1.0, 4.0, 8192
"""Of every published Llama 3: the length first trained on, and how many waves in it make s 0 and 1."""
_TOLERANCE = 1e-5


def rope_of(divisors: Sequence[float], theta: float) -> dict[str, Any] | None:
    """Return the settings under which angles are divided by these, None for divisors of another kind."""
    given = np.asarray(divisors, np.float64)
    factor = float(given.max())
    if not np.allclose(_divisors(factor, theta, len(given)), given, rtol=_TOLERANCE):
        return None
    scaled = {"factor": factor, "low_freq_factor": LOW, "high_freq_factor": HIGH}
    return {"rope_type": "llama3", "rope_theta": theta, **scaled, "original_max_position_embeddings": ORIGINAL}


def _divisors(factor: float, theta: float, n: int) -> NDArray[np.float64]:
    wavelength = 2 * np.pi * theta ** (np.arange(n) / n)
    s = np.clip((ORIGINAL / wavelength - LOW) / (HIGH - LOW), 0, 1)
    return 1 / ((1 - s) / factor + s)
