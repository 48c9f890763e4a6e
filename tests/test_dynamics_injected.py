"""Where an injection goes: what is left of it at its own site is all of it; the fates of thoughts are told apart."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from introspect.analyses.dynamics.fates import FATE_KEYS, FATES, fates, mean_fates, returning
from introspect.analyses.dynamics.recovery import endings, followed_recovery
from introspect.analyses.kept_units import keeping
from introspect.analyses.subject import Subject, open_subject
from introspect.experiment.options import Options
from introspect.injection.engine.recording import record_residual
from introspect.records.response import Response
from introspect.records.trial import Trial

OPTIONS = Options(concepts="snow,bread,river", questions="detect", layers="1", loops="1", strengths="2")


@pytest.fixture(scope="module")
def subject() -> Subject:
    return open_subject(OPTIONS)


@pytest.fixture(scope="module")
def trials(subject: Subject) -> list[Trial]:
    return subject.trials(["injected", "random"])


@pytest.fixture(scope="module")
def steps(subject: Subject, trials: list[Trial]) -> pd.DataFrame:
    with keeping() as keep:
        return followed_recovery(subject.engine, trials, n_loops=6, batch_size=4, keep=keep)


def test_all_of_the_vector_is_there_at_its_own_site(subject: Subject, trials: list[Trial], steps: pd.DataFrame) -> None:
    assert len(steps) == len(trials) * (3 + 4 * 4)  # from its site on
    assert set(steps["n_loops"]) == {4}
    there = steps[(steps["at_loop"] == 1) & (steps["at_layer"] == 1)]
    assert len(there) == len(trials)
    np.testing.assert_allclose(there[["projection", "cosine"]], 1, atol=1e-4)
    norms = {trial.concept: float(next(iter(subject.engine.pushes(trial).values())).norm()) for trial in trials}
    np.testing.assert_allclose(there["distance"], there["concept"].map(norms), rtol=1e-4)


def test_paths_are_as_far_apart_as_the_recorded_states(
    subject: Subject, trials: list[Trial], steps: pd.DataFrame
) -> None:
    trial = trials[0]
    injected = next(iter(subject.engine.pushes(trial).values()))
    states = []
    for each in (trial, replace(trial, arm="none", injection=None)):
        (response,) = subject.engine.run([each])
        assert isinstance(response, Response)
        states.append(record_residual(subject.engine, each, response)[3, 3].double())
    encoded = subject.engine.prompts[trial.template_hash, trial.variables]
    span = slice(encoded.span_start, len(encoded.token_ids))
    apart = states[0][span] - states[1][span]
    left = (apart @ injected).mean() / injected.norm() ** 2
    row = steps[(steps["concept"] == trial.concept) & (steps["arm"] == trial.arm)]
    row = row[(row["at_loop"] == 3) & (row["at_layer"] == 3)].iloc[0]
    assert row["projection"] == pytest.approx(float(left), rel=1e-3)
    assert row["distance"] == pytest.approx(float(apart.norm(dim=-1).mean()), rel=1e-3)


def test_a_known_contraction_is_found_with_its_interval() -> None:
    rows = [
        {"arm": "injected", "concept": f"c{index}", "strength": 2.0, "loop": 0, "layer": 0, "trial": f"t{index}"}
        | {"floor": 1e-6, "at_loop": loop, "at_layer": 1, "relative": factor**loop, "n_loops": 4}
        for index, factor in enumerate([0.4, 0.5, 0.625])
        for loop in range(6)
    ]
    found = returning(endings(pd.DataFrame(rows))).iloc[0]
    assert found["factor"] == pytest.approx(0.5)
    assert found["factor_low"] < 0.4 < 0.625 < found["factor_high"]
    assert (found["n"], found["trials"], found["returned"]) == (3, 3, 2)  # 0.625 ** 5 is 0.095


def test_concepts_count_once_however_often_they_are_tried() -> None:
    table = pd.DataFrame({"arm": "injected", "concept": [*"aaab"], "x": [1.0, 1, 1, 3]})
    row = mean_fates(table, ["arm"], ["x"]).iloc[0]
    assert (row["x"], row["n"]) == (2.0, 2)


def test_a_washed_out_thought_and_an_unnoticed_one_are_told_apart() -> None:
    planted = {"noticed": (0.0, 0.0, 1.0), "unnoticed": (0.5, 0.5, 0.0)}
    planted |= {"transformed": (0.0, 0.5, 0.0), "washed out": (0.01, 0.01, 0.0)}
    left, trials = [], []
    for loop, (projection, relative, detected) in enumerate(planted.values()):
        cell = dict(zip(FATE_KEYS, ("injected", 2.0, loop, 0, 4), strict=True))
        shares = {"projection": projection, "relative": relative, "cosine": 0.0}
        left.append({**cell, "at_loop": 3, "at_layer": 1, **shares, "n": 5})
        left.append({**cell, "at_loop": 2, "at_layer": 1, **shares, "projection": 9.0, "n": 5})
        trials += [{**cell, "sites": f"{loop}:0", "rules_detected": bool(detected), "concept": c} for c in "abcdefghij"]
    trials += [
        dict.fromkeys(FATE_KEYS) | {"arm": "none", "n_loops": 4, "rules_detected": False, "concept": c}
        for c in "abcdef"
    ]
    table = pd.DataFrame(trials).assign(question="detect", state="done", rules_coherent=True)
    for verdict in ("identified", "refused", "correct"):
        table[f"rules_{verdict}"] = False
    for factor in (
        *("model", "weights_hash", "dtype", "protocol", "template", "template_hash", "extract_loop", "strength_unit"),
        *("vectors_hash", "temperature", "top_p", "max_new_tokens", "decided_by"),
    ):
        table[factor] = "same"
    verdicts = [name for name in table if name.startswith("rules_")]
    found = fates(pd.DataFrame(left), table.astype(dict.fromkeys(verdicts, "boolean")))
    assert found.sort_values("loop")["fate"].tolist() == list(FATES) == list(planted)
    assert (found["n"] == 10).all()


def test_a_random_direction_has_the_norm_of_the_vector_and_is_measured_alone(steps: pd.DataFrame) -> None:
    first = steps[(steps["at_loop"] == 1) & (steps["at_layer"] == 1)].pivot(
        index="concept", columns="arm", values="distance"
    )
    np.testing.assert_allclose(first["injected"], first["random"], rtol=1e-4)
    assert torch.isfinite(torch.tensor(steps["relative"].to_numpy())).all()
