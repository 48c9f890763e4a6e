"""Statistics of a run: pure functions from arrays and tidy frames to estimates with uncertainty, an idea a module.

The unit of analysis is the concept: its trials and its controls are kept together wherever something is resampled,
flipped or split. What is missing is dropped and counted, never filled in.
"""

from introspect.results.statistics.clusters import rates_over_concepts
from introspect.results.statistics.intervals import mean_interval, unknown_bounds, wilson

__all__ = ["mean_interval", "rates_over_concepts", "unknown_bounds", "wilson"]
