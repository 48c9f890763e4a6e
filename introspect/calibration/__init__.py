"""Calibration: sweep the organisms, whose introspection is known, and hold what is measured against what is known.

Goes in: a folder for the runs. Comes out: one Check a known truth. An instrument that does not recover them may not be
believed about a real model.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from introspect.calibration.checks import Check, Truth, check
from introspect.calibration.effect_checks import EffectCheck, EffectTruth, check_effect
from introspect.calibration.truths import EFFECT_TRUTHS, TRUTHS
from introspect.experiment.options import Options
from introspect.experiment.sweep import Report, run_sweep
from introspect.models.organisms import PREFIX
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import trials_table
from introspect.results.tables.narrow_trials import narrow_trials

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
    "primary_sweep",
    "standard_sweeps",
]
LEAST_CONTROLS = 500


def calibrate(
    out: Path, *, device: str = "auto", dtype: str = "auto", report: Report | None = None
) -> list[Check | EffectCheck]:
    """Sweep the organisms over held-out concepts into `out`, continuing what is there, and check every truth.

    The control without injection is repeated until there are more than LEAST_CONTROLS trials. Protocols beside `detect`
    are run at one layer, and only with the organisms that were taught them.
    """
    checks: list[Check | EffectCheck] = []
    for organism in dict.fromkeys(truth.organism for truth in TRUTHS):
        sweeps = standard_sweeps(organism, out, device=device, dtype=dtype)
        table = pd.concat([_swept(options, report) for options in sweeps], ignore_index=True)
        checks += [check(truth, table) for truth in TRUTHS if truth.organism == organism]
        if known := [truth for truth in EFFECT_TRUTHS if truth.organism == organism]:
            trials = _narrow(primary_sweep(organism, out, device=device, dtype=dtype), report)
            checks += [check_effect(truth, trials) for truth in known]
    return checks


def standard_sweeps(organism: str, out: Path, *, device: str = "auto", dtype: str = "auto") -> list[Options]:
    """Return the sweeps of one organism: every site with random directions beside, controls, and other protocols."""
    cells = Options(
        model=f"{PREFIX}{organism}",
        questions="detect",
        arms="injected,random",
        strengths="0.5,1,2",
        max_new_tokens=24,
        device=device,
        dtype=dtype,
        out=out / f"{organism}-cells",
    )
    repeats = LEAST_CONTROLS // len(cells.words()) + 1
    one_layer = replace(cells, layers="1", strengths="2", arms="injected,none")
    common = [
        cells,
        replace(cells, arms="none", repeats=repeats, out=out / f"{organism}-none"),
        replace(one_layer, questions="unrelated", out=out / f"{organism}-unrelated"),
    ]
    if organism == "huginn":
        return common
    return [
        *common,
        replace(
            one_layer, protocol="prior", questions="prior", arms="injected,none,random", out=out / f"{organism}-prior"
        ),
        *(
            replace(one_layer, protocol=name, questions=name, out=out / f"{organism}-{name}")
            for name in ("choose", "localise")
        ),
    ]


def primary_sweep(organism: str, out: Path, *, device: str = "auto", dtype: str = "auto") -> Options:
    """Return the sweep of the primary contrast: noticing and plain questions under the same injections, one layer."""
    cells, *_ = standard_sweeps(organism, out, device=device, dtype=dtype)
    return replace(
        cells,
        questions="detect,unrelated",
        arms="injected,none,random",
        layers="1",
        strengths="2",
        max_new_tokens=4,
        out=out / f"{organism}-primary",
    )


def _narrow(options: Options, report: Report | None) -> pd.DataFrame:
    with Store.open(run_sweep(options, report).folder) as store:
        return narrow_trials(store)


def _swept(options: Options, report: Report | None) -> pd.DataFrame:
    with Store.open(run_sweep(options, report).folder) as store:
        return trials_table(store)
