"""How many loops filled a cache: it is noted on the cache, and a forward of another number is refused.

Takes the cache of a forward and the number of loops that it runs. A slot of a cache is a site; another number of loops
would read slots that were never filled, or leave some behind, and nothing would show it.
"""

from typing import Any

from introspect.errors import InputError


def check_cache(cache: Any, n_loops: int) -> None:  # Any: a cache of any class, on which the number is noted
    """Note the number of loops on a cache. Raises InputError where it holds tokens that another number of loops ran."""
    if cache is None:
        return
    filled = getattr(cache, "n_loops", n_loops)
    if filled != n_loops and cache.get_seq_length() > 0:
        raise InputError(
            f"n_loops {n_loops}: the cache was filled by a forward of {filled} loops; run as many, or begin a new cache"
        )
    cache.n_loops = n_loops
