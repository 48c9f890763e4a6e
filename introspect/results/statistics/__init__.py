"""Statistics of a run: pure functions from arrays and tidy frames to estimates with uncertainty, an idea a module.

The unit of analysis is the concept: its trials and its controls are kept together wherever something is resampled,
flipped or split. What is missing is dropped and counted, never filled in.
"""

from introspect.results.statistics.clustered_rates import clustered_rate, clustered_rates
from introspect.results.statistics.intervals import mean_interval, unknown_bounds, wilson

__all__ = ["clustered_rate", "clustered_rates", "mean_interval", "unknown_bounds", "wilson"]
