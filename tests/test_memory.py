"""What a row is said to take is at least the cache that it is given, also where a prompt is read both ways."""

import pytest
import torch
from families import FAMILIES
from injected import encoded

from introspect.injection.prefix.memory import bytes_per_row
from introspect.injection.prefix.prefix import LEAST_ROWS, prefill, shared_tokens
from introspect.models.tap import Tap

NEW = 64
PROMPT = encoded([3 + k for k in range(40)], [(30, 36)])


@pytest.mark.parametrize("name", ["ouro", "hrm"])
def test_a_row_takes_at_least_its_own_cache(name: str) -> None:
    looped = FAMILIES[name].make(dtype=torch.float32)
    prefix = prefill(Tap(looped), PROMPT, looped.n_loops)
    assert prefix.split == shared_tokens(looped, PROMPT) == (0 if looped.both_ways else 30)
    own = sum(part.numel() * part.element_size() for part in prefix.cache(LEAST_ROWS, NEW).own) / LEAST_ROWS
    assert bytes_per_row(looped, PROMPT, n_loops=looped.n_loops, max_new_tokens=NEW) >= own
