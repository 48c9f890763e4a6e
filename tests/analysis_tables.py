"""Makers for tests of the figures of analyses: tables of a model of so many loops and layers, and what draws them."""

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from introspect.analyses.dynamics import figures as of_dynamics
from introspect.analyses.dynamics.design import NORMS
from introspect.analyses.dynamics.design_figures import designs
from introspect.analyses.monitor import figures as of_monitor
from introspect.analyses.monitor import noticing_figures
from introspect.analyses.monitor.curves import MONITORS, SCORE_MEASURES
from introspect.analyses.trajectory import figures as of_trajectory
from introspect.analyses.trajectory import path_figures
from introspect.analyses.trajectory.path_drawing import Drawn

Drawing = Callable[[], list[Axes]]


def crossed(values: dict[str, tuple[float, float]], **axes: Iterable[object]) -> pd.DataFrame:
    """Make a row for each place, with n, and values drawn evenly between two bounds, with an interval around each."""
    source, rows = (
        np.random.default_rng(0),
        pd.DataFrame(list(product(*axes.values())), columns=list(axes)).assign(n=20),
    )
    for name, (least, most) in values.items():
        rows[name], reach = source.uniform(least, most, len(rows)), (most - least) / 10
        low, high = ("low", "high") if name in ("value", "mean", "rate") else (f"{name}_low", f"{name}_high")
        rows[low], rows[high] = (rows[name] - reach).clip(lower=least), (rows[name] + reach).clip(upper=most)
    return rows


def monitor(loops: int, layers: int, tasks: Sequence[str], strengths: Sequence[float]) -> dict[str, Drawing]:
    """Return what draws the figures of `monitor`, for each number of loops run up to `loops`."""
    share, totals = {"value": (0.0, 1.0)}, range(1, loops + 1)
    scores = {"task": tasks, "loops": totals, "measure": SCORE_MEASURES}
    sites = {"loop": range(loops), "layer": range(layers)}
    lost = crossed({"nats": (1.0, 4.0), "more": (0.0, 2.0)}, loops=totals).assign(texts=16, tokens=1234)
    lost = lost.rename(columns={"nats_low": "low", "nats_high": "high"})
    probes = crossed(share, task=tasks, **sites, labels=("true", "shuffled"), measure=("accuracy",))
    transfer = crossed(share, task=tasks, layer=(layers - 1,), trained_loop=range(loops), tested_loop=range(loops))
    noticed = crossed(
        share, loop=range(loops), strength=strengths, by=("words", "logits", "probe"), measure=("detection", "naming")
    ).assign(concepts=12)
    read = crossed(share, loop=range(loops), read_loop=range(loops), by=("logits", "probe"), read_layer=(layers - 1.0,))
    return {
        "loss": lambda: of_monitor.loss_by_loops(lost, loops, "the contrastive prompts"),
        "monitors": lambda: of_monitor.monitors_by_loops(crossed(share, **scores, monitor=MONITORS), loops),
        "gap": lambda: of_monitor.gap_by_loops(crossed({"value": (-1.0, 1.0)}, **scores), loops),
        "probes": lambda: of_monitor.probes_by_site(probes),
        "transfer": lambda: of_monitor.transfer_across_loops(transfer),
        "injected": lambda: noticing_figures.who_notices(noticed),
        "injected-sites": lambda: noticing_figures.where_noticed(read[read["read_loop"] >= read["loop"]]),
    }


def dynamics(loops: int, layers: int, blocks: Sequence[int]) -> dict[str, Drawing]:
    """Return what draws the figures of `dynamics`, with four times as many recurrences, and of its design study."""
    recurrences, sites = range(4 * loops), {"loop": range(loops), "layer": range(layers)}
    settling = dict.fromkeys(of_dynamics.SETTLING, (1e-4, 1.0))
    pairs = crossed({"distance": (0.0, 1.0)}, loop=range(loops), layer=range(layers), at=range(loops * layers))
    path = crossed({"x": (-1.0, 1.0), "y": (-1.0, 1.0)}, loop=recurrences, layer=range(layers))
    left = crossed(
        {"relative": (1e-4, 1.0), "projection": (-0.2, 1.0)},
        **{"arm": ("injected", "random"), "loop": range(loops), "strength": (2.0,), "layer": (0,)},
        **{"at_loop": recurrences, "at_layer": (layers - 1,)},
    )
    study = {"refeed": (True, False), "norm": NORMS, "blocks": blocks, "seed": range(2), "loop": recurrences}
    stacks = crossed({"change_cosine": (0.0, 1.0)}, **study).assign(steps=0)
    stages = crossed(dict.fromkeys(of_dynamics.STAGE_LABELS, (0.0, 1.0)), **sites)
    return {
        "settling": lambda: of_dynamics.settling(crossed(settling, layer=range(layers), loop=recurrences)),
        "attention": lambda: of_dynamics.attention(pairs),
        "stages": lambda: of_dynamics.stages(stages, stages[stages["loop"] == 0]),
        "path": lambda: of_dynamics.paths(path.assign(x_share=0.6, y_share=0.2)),
        "left": lambda: of_dynamics.left(left[left["at_loop"] >= left["loop"]].assign(n_loops=loops)),
        "design_paths": lambda: designs(stacks),
    }


def trajectory(loops: int, layers: int, sites: Sequence[str]) -> dict[str, Drawing]:
    """Return what draws the figures of `trajectory`, of injections at these sites."""
    along = {"loop": range(loops), "layer": range(layers)}
    arms = {"strength": (2.0,), "sites": sites, "arm": ("injected", "random")}
    geometry = {"quantity": ("salience",), "metric": ("raw",), "stage": ("core",)}
    differences = _named(crossed({"mean": (-1.0, 1.0)}, **geometry, **arms, **along))
    readable = _named(crossed({"rate": (0.0, 1.0)}, lens=("logit", "embedding"), **arms, **along))
    words = ("yes", "no", "concept")
    answers = _named(crossed({"mean": (-0.1, 0.1)}, lens=("logit",), word=words, **arms, **along))
    memory = _named(crossed({"rate": (0.0, 1.0)}, sites=sites, **along)).assign(shuffled=0.1, chance=0.08)
    one = _drawn(loops, layers)
    return {
        "differences": lambda: of_trajectory.differences_by_layer(differences, "salience", "raw", 2.0),
        "readable": lambda: of_trajectory.readable_by_site(readable, 2.0),
        "readouts": lambda: of_trajectory.answers_by_site(answers, 2.0),
        "memory": lambda: of_trajectory.memory_by_site(memory),
        "path-2d": lambda: path_figures.in_two(one),
        "path-3d": lambda: path_figures.in_three(one),
    }


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(site=rows["loop"].astype("str") + ":" + rows["layer"].astype("str"), stage="core")


def _drawn(loops: int, layers: int) -> Drawn:
    sites = list(product(range(loops), range(layers)))
    names = ("embedding", *(f"{loop}:{layer}" for loop, layer in sites))
    trial, control = torch.randn(2, len(names), 3, generator=torch.Generator().manual_seed(0)).cumsum(1)
    steps, shares = torch.ones(2, len(sites)), (0.5, 0.3, 0.1)
    title = "snow, concept vector at 0:0, strength 2"
    at = (-1, *(loop for loop, _ in sites))
    return Drawn(title, names, at, loops, trial, control, (steps[0], steps[1]), (1,), shares)
