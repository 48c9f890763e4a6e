"""The sweeps from which an organism is known. Goes in: its name and a folder. Come out: options of sweeps.

Protocols beside `detect` are run at one layer and one strength, and only with the organisms about which they tell.
"""

from dataclasses import replace
from pathlib import Path

from introspect.experiment.options import Options
from introspect.models.organisms import PREFIX

LEAST_CONTROLS = 500
_TAUGHT = {"prior": "injected,none,random", "choose": "injected,none", "localise": "injected,none"}
_NOT_TAUGHT = {"identify": "injected,none,random", "third-person": "injected,none,random"}
ASKED_OF = {
    "aware": _TAUGHT | _NOT_TAUGHT,
    "last-loop": _TAUGHT,
    "blind": _TAUGHT | _NOT_TAUGHT,
    "gauge": {"strength": "injected"},
    "locator": dict.fromkeys(("localise", "localise-ten", "compare", "which-loop"), "injected"),
}
"""Questions beside `detect`, each the protocol of its name, and the arms in which an organism is asked them."""
WELL_KNOWN = ("aware", "blind")
ONE_LAYER = ("gauge", "locator")
"""Those that are `aware` with more answers: their sites are known from it."""


def standard_sweeps(organism: str, out: Path, *, device: str = "auto", dtype: str = "auto") -> list[Options]:
    """Return the sweeps of one organism: every site with random directions beside, controls, and other questions.

    Those of ONE_LAYER are swept there. The control without injection is repeated until there are more than
    LEAST_CONTROLS trials.
    """
    cells = Options(
        model=f"{PREFIX}{organism}",
        questions="detect",
        arms="injected,random",
        strengths="0.5,1,2",
        max_new_tokens=24,
        device=device,
        dtype=dtype,
        layers="1" if organism in ONE_LAYER else "all",
        out=out / f"{organism}-cells",
    )
    repeats = LEAST_CONTROLS // len(cells.words()) + 1
    one_layer = replace(cells, layers="1", strengths="2")
    return [
        cells,
        replace(cells, arms="none", repeats=repeats, out=out / f"{organism}-none"),
        replace(one_layer, questions="unrelated", arms="injected,none", out=out / f"{organism}-unrelated"),
        *(
            replace(one_layer, protocol=name, questions=name, arms=arms, out=out / f"{organism}-{name}")
            for name, arms in ASKED_OF.get(organism, {}).items()
        ),
        *(
            replace(one_layer, arms="in-span,text", out=out / f"{organism}-controls")
            for _ in range(organism in WELL_KNOWN)
        ),
    ]


def primary_sweeps(organism: str, out: Path, *, device: str = "auto", dtype: str = "auto") -> list[Options]:
    """Return the sweeps of the primary contrast and of what stands beside it, one layer.

    The first asks about noticing and plain questions under the same injections, the second, where the organism is well
    known, about another model.
    """
    every = standard_sweeps(organism, out, device=device, dtype=dtype)
    primary = replace(
        every[0],
        questions="detect,unrelated",
        arms="injected,none,random,text",
        layers="1",
        strengths="2",
        max_new_tokens=4,
        out=out / f"{organism}-primary",
    )
    return [primary, *(each for each in every if each.protocol == "third-person")]
