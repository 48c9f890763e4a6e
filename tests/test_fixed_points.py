"""Fed its input anew in every loop, Huginn's layout comes to rest; Ouro's, with a norm after every loop, does not.

The contrast is published for trained models and holds for random weights too.
"""

from collections.abc import Callable
from statistics import median

import torch
from tiny import tiny_model
from tiny_raven import tiny_raven
from torch import Tensor

from introspect.families.loading import load_model
from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Tap
from introspect.records.trial import Site

LOOPS = 65
AT_REST, MOVING = 1e-2, 3e-2
"""Relative change from loop to loop below which a state rests, and above which it moves."""


def change(looped: LoopedModel) -> float:
    """Return the relative change of the core's last state over the last of many loops, of all tokens together."""
    ends: dict[int, Tensor] = {}

    def keep(loop: int) -> Callable[[Tensor], None]:
        return lambda state: ends.update({loop: state.detach().clone()})

    visits = {Site(loop, looped.n_layers - 1): keep(loop) for loop in (LOOPS - 2, LOOPS - 1)}
    ids = torch.tensor([looped.tokenizer.encode("Tell me about bread, and about snow.")])
    Tap(looped).run(visits, n_loops=LOOPS, input_ids=ids)
    before, after = ends[LOOPS - 2], ends[LOOPS - 1]
    return float((after - before).norm() / before.norm())


def as_at_the_start_of_training(looped: LoopedModel) -> LoopedModel:
    """Return a model with random weights the spread that Huginn's training begins with, and no gains."""
    with torch.no_grad():
        for name, weight in looped.model.named_parameters():
            if weight.ndim == 2:
                weight.mul_((2 / (5 * looped.d_model)) ** 0.5 / weight.std())
            elif "norm" in name or "ln_f" in name:
                weight.fill_(1)
    return looped


def random_huginn(seed: int) -> LoopedModel:
    looped = tiny_raven(seed, n_embd=64, n_layers_in_recurrent_block=4, init_values={"embed_scale": 8.0})
    return as_at_the_start_of_training(looped)


def test_huginns_layout_comes_to_rest() -> None:
    assert change(load_model("organism:huginn", device="cpu")) < AT_REST
    assert max(change(random_huginn(seed)) for seed in range(5)) < AT_REST


def test_ouros_layout_does_not() -> None:
    assert change(load_model("organism:aware", device="cpu")) > MOVING
    ouros = [as_at_the_start_of_training(tiny_model(seed=seed, n_layers=4, d_model=64)) for seed in range(5)]
    assert median(map(change, ouros)) > MOVING
