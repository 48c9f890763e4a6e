"""What the judge is and how it is asked. Goes in: options of the command line. Comes out: settings that can be used."""

import math
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from introspect.errors import InputError
from introspect.selection import numbers

KEYS = ("INTROSPECT_JUDGE_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key, the first that is set counts; it is never stored or printed."""


@dataclass(frozen=True)
class JudgeSettings:
    """Which judge, and how it is asked. Raises InputError for what cannot be used."""

    model: str
    """Name at the endpoint; without a url a hub id, a folder or organism:NAME."""
    url: str | None = None
    """Base of an OpenAI-compatible endpoint, such as http://localhost:8000/v1; None: the model is run here."""
    max_tokens: int = 1024
    """Longest reply; a longer one is cut off, and its state is `truncated`."""
    timeout: float = 120.0
    """Seconds that one call may take; the next try has as many again."""
    concurrency: int = 8
    """Calls under way at once; a local model answers one by one."""
    price: tuple[float, float] | None = None
    """Price of a million tokens read and written; None: the cost is not known."""

    def __post_init__(self) -> None:
        """Check what can be checked without asking anything."""
        if not self.model.strip():
            raise InputError("--judge-model: which model judges? Give its name at the endpoint, a hub id or a folder")
        if self.url is not None:
            _check_url(self.url)
        for option, value in {"max-tokens": self.max_tokens, "concurrency": self.concurrency}.items():
            if value < 1:
                raise InputError(f"--judge-{option}: {value} is too few; it must be at least 1")
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise InputError(f"--judge-timeout: {self.timeout:g} is no number of seconds above 0")

    @property
    def asked(self) -> dict[str, Any]:  # Any: numbers, as JSON takes them
        """Return the settings that determine a reply, besides model, url and messages."""
        return {"temperature": 0, "max_tokens": self.max_tokens}

    def cost(self, prompt_tokens: int | None, completion_tokens: int | None) -> float | None:
        """Return what a reply cost, in the unit of the price; None where price or counts are missing."""
        if self.price is None or prompt_tokens is None or completion_tokens is None:
            return None
        return (prompt_tokens * self.price[0] + completion_tokens * self.price[1]) / 1e6


def read_price(text: str | None) -> tuple[float, float] | None:
    """Read `0.15,0.60`, the price of a million tokens read and written. Raises InputError for anything else."""
    if text is None:
        return None
    values = [number for part in text.split(",") for number in numbers(part, option="--judge-price")]
    if len(values) != 2 or min(values) < 0:
        raise InputError(f"--judge-price: cannot read {text!r}; write the price of a million tokens in,out: 0.15,0.60")
    return values[0], values[1]


def key_from_environment() -> str | None:
    """Return the key of the endpoint without blanks around it, None where no variable is set.

    Raises InputError, which does not show it, for one that no header can carry.
    """
    for name in KEYS:
        if key := os.environ.get(name, "").strip():
            if not (key.isascii() and key.isprintable() and " " not in key):
                raise InputError(f"{name}: holds a blank or a letter that no key has; set it again (it is not shown)")
            return key
    return None


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"--judge-url: {url!r} is no url; it looks like http://localhost:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(f"--judge-url: give the plain address; a key belongs into the environment as {KEYS[0]}")
