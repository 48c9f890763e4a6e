"""What overflows is an error of its own trial, named, and its neighbours are as they would be without it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from injected import Bench, bench, responses
from made import response, trial
from swept import options, run_without_figures

from introspect.injection.engine.failures import Failure, checked
from introspect.records.response import Measure, Readout
from introspect.records.trial import Sampling, StrengthUnit
from introspect.results.store.store import Store

FORMATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("unit", ["vector", "residual"])
def test_a_strength_too_large_fails_its_own_trial_only(dtype: torch.dtype, unit: StrengthUnit) -> None:
    on: Bench = bench(dtype)
    one = Sampling(max_new_tokens=1)  # all rows leave at once, so that the same rows are run with and without
    good = [on.trial((0, 1), strength=1.0, unit=unit, seed=seed, sampling=one) for seed in range(2)]
    harmless, bad = (
        [on.trial((0, 1), strength=strength, unit=unit, sampling=one) for strength in strengths]
        for strengths in ((1.0, -1.0, 2.0), (1e20, -1e20, 1e200))
    )
    first, *failures, last = on.engine.run([good[0], *bad, good[1]])
    without = responses(on.engine.run([good[0], *harmless, good[1]]))
    assert [first, last] == [without[0], without[-1]]
    for failed, asked in zip(failures, bad, strict=True):
        assert isinstance(failed, Failure)
        assert asked.injection is not None
        assert f"strength {asked.injection.strength} ({unit} units)" in failed.message
        assert "too large" in failed.message or "not finite" in failed.message


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["vector_norm", "residual_norm", "clean_logprob", "readouts", "options", "measures"])
def test_no_number_that_is_not_finite_passes(field: str, number: float) -> None:
    asked = trial()
    changes = {
        "readouts": (Readout(0, 0.1, number, 1.0, 0.3),),
        "options": (Readout(0, 0.1, 0.2, 1.0, 0.3, (number,)),),
        "measures": (Measure("cosine", 0, 0, number),),
    }
    good = response(asked)
    bad = replace(good, **{"readouts" if field == "options" else field: changes.get(field, number)})
    assert checked(asked, good) is good
    found = checked(asked, bad)
    assert isinstance(found, Failure)
    assert asked.id in found.message


def test_a_sweep_stores_what_did_not_overflow(tiny: Path, tmp_path: Path) -> None:
    asked = options(tiny, tmp_path / "run", strengths="1,1e20", arms="injected,none")
    with Store.open(run_without_figures(asked)) as store:
        strengths = [one.injection.strength for one, _ in store.answers() if one.injection is not None]
        failed = store.select("SELECT strength, message FROM errors JOIN trials USING (n) JOIN cells USING (cell)")
        messages = dict(failed)
        assert set(strengths) == {1.0}
        assert set(messages) == {1e20}
        assert "strength 1e+20 (vector units) is too large" in messages[1e20]
        assert store.count("error") == len([each for each in strengths if each == 1.0])
