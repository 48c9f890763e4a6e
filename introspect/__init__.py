"""introspect: when a thought is put into a looped language model, does the model notice, and in which loop?

Public names are loaded when they are first used, so that reading tables needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from introspect.analyses.dynamics.dynamics import dynamics
    from introspect.analyses.monitor import monitor
    from introspect.analyses.trajectory.trajectory import trajectory
    from introspect.experiment.chain import figures, grade, keep, tables
    from introspect.experiment.comparison import compare
    from introspect.experiment.laboratory import open_laboratory
    from introspect.experiment.options import Options
    from introspect.experiment.run import Run
    from introspect.experiment.sweep import run_sweep
    from introspect.families.loading import load_model

__version__ = "0.1.0"
__all__ = [
    "Options",
    "Run",
    "compare",
    "dynamics",
    "figures",
    "grade",
    "keep",
    "load_model",
    "monitor",
    "open_laboratory",
    "run_sweep",
    "tables",
    "trajectory",
]

_HOMES = {
    "Options": "introspect.experiment.options",
    "Run": "introspect.experiment.run",
    "compare": "introspect.experiment.comparison",
    "dynamics": "introspect.analyses.dynamics.dynamics",
    "figures": "introspect.experiment.chain",
    "grade": "introspect.experiment.chain",
    "keep": "introspect.experiment.chain",
    "load_model": "introspect.families.loading",
    "monitor": "introspect.analyses.monitor",
    "open_laboratory": "introspect.experiment.laboratory",
    "run_sweep": "introspect.experiment.sweep",
    "tables": "introspect.experiment.chain",
    "trajectory": "introspect.analyses.trajectory.trajectory",
}


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*__all__, "__all__", "__doc__", "__version__"})


def __getattr__(name: str) -> Any:  # Any: the public names are of several kinds
    """Load a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'introspect' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
