"""Calibration: sweep the organisms, whose introspection is known, and hold what is measured against what is known.

Goes in: a folder for the runs. Comes out: one Check a known truth. An instrument that does not recover them may not be
believed about a real model.
"""

from pathlib import Path

import pandas as pd

from introspect.calibration.checks import Check, Truth, check
from introspect.calibration.effect_checks import EffectCheck, EffectTruth, check_effect
from introspect.calibration.effect_truths import EFFECT_TRUTHS
from introspect.calibration.organism_sweeps import LEAST_CONTROLS, primary_sweeps, standard_sweeps
from introspect.calibration.truths import TRUTHS
from introspect.experiment.options import Options
from introspect.experiment.sweep import Report, run_sweep
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import trials_table
from introspect.results.tables.trials.narrow_trials import narrow_trials

__all__ = [
    "EFFECT_TRUTHS",
    "LEAST_CONTROLS",
    "TRUTHS",
    "Check",
    "EffectCheck",
    "EffectTruth",
    "Truth",
    "calibrate",
    "check",
    "check_effect",
    "primary_sweeps",
    "standard_sweeps",
]


def calibrate(
    out: Path, *, device: str = "auto", dtype: str = "auto", report: Report | None = None
) -> list[Check | EffectCheck]:
    """Sweep the organisms over held-out concepts into `out`, continuing what is there, and check every truth."""
    checks: list[Check | EffectCheck] = []
    for organism in dict.fromkeys(truth.organism for truth in TRUTHS):
        sweeps = standard_sweeps(organism, out, device=device, dtype=dtype)
        table = pd.concat([_swept(options, report) for options in sweeps], ignore_index=True)
        checks += [check(truth, table) for truth in TRUTHS if truth.organism == organism]
        if known := [truth for truth in EFFECT_TRUTHS if truth.organism == organism]:
            primary = primary_sweeps(organism, out, device=device, dtype=dtype)
            trials = pd.concat([_narrow(options, report) for options in primary], ignore_index=True)
            checks += [check_effect(truth, trials) for truth in known]
    return checks


def _narrow(options: Options, report: Report | None) -> pd.DataFrame:
    with Store.open(run_sweep(options, report).folder) as store:
        return narrow_trials(store)


def _swept(options: Options, report: Report | None) -> pd.DataFrame:
    with Store.open(run_sweep(options, report).folder) as store:
        return trials_table(store)
