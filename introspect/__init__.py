"""introspect: when a thought is put into a looped language model, does the model notice, and in which loop?

Public names are loaded when they are first used, so that reading tables needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from introspect.analyses.dynamics.dynamics import dynamics
    from introspect.analyses.monitor import monitor
    from introspect.analyses.trajectory.making import trajectory
    from introspect.models.loading import load_model
    from introspect.options import Options
    from introspect.run import Run
    from introspect.sweep import run_sweep

__version__ = "0.1.0"
__all__ = ["Options", "Run", "dynamics", "load_model", "monitor", "run_sweep", "trajectory"]

_HOMES = {
    "Options": "introspect.options",
    "Run": "introspect.run",
    "dynamics": "introspect.analyses.dynamics.dynamics",
    "load_model": "introspect.models.loading",
    "monitor": "introspect.analyses.monitor",
    "run_sweep": "introspect.sweep",
    "trajectory": "introspect.analyses.trajectory.making",
}


def __getattr__(name: str) -> Any:  # Any: the public names are of several kinds
    """Load a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'introspect' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
