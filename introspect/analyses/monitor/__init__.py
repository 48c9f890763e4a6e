"""Monitors: what a model says of answers and of injected thoughts against what its states know, per loop."""

from introspect.analyses.monitor.monitor import monitor

__all__ = ["monitor"]
