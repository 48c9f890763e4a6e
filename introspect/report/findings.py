"""All that a report is made of, read from the store once. In goes a store, come out tables, counts and the manifest."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from introspect.records.trial import Gate
from introspect.report.planned_trials import PlannedCounts, planned_counts
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import summaries
from introspect.results.tables.rates.capability import unable
from introspect.results.tables.rates.rates import rates
from introspect.results.tables.trials.absence import Made
from introspect.results.tables.trials.narrow_trials import narrow_trials
from introspect.results.tables.trials.trials import alike_table, cells_table, stored_graders

PREFERRED = "rules"
"""The grader by which trials are sorted into outcomes, where it has graded."""
DRAWN_ONLY = ("rates", "loops", "readouts")
"""Tables with a row a cell, which the report shows as figures."""


@dataclass(frozen=True)
class Findings:
    """A run as it stands; each part is made when it is first asked for."""

    store: Store
    coherence: Gate = "rules"
    """Who says which answers count."""

    @cached_property
    def manifest(self) -> dict[str, Any]:  # Any: JSON
        """Return what the run was made with."""
        return self.store.manifest

    @cached_property
    def planned(self) -> PlannedCounts | None:
        """Return how many trials were planned, None where that is not known."""
        return planned_counts(self.manifest)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Return one row a trial, without the texts."""
        return narrow_trials(self.store, self.coherence)

    @cached_property
    def graders(self) -> list[str]:
        """List the graders that have graded, the preferred one first."""
        return sorted(stored_graders(self.store), key=lambda name: (name != PREFERRED, name))

    @property
    def is_empty(self) -> bool:
        """Tell whether no trial was stored."""
        return self.trials.empty

    @property
    def is_graded(self) -> bool:
        """Tell whether there are rates: some trial was graded, or all of them failed."""
        return not self.is_empty and (bool(self.graders) or not (self.trials["state"] == "done").any())

    @cached_property
    def summaries(self) -> Made[pd.DataFrame]:
        """Return the tables that figures are drawn from, and what the others lack; none of an empty run."""
        return Made() if self.is_empty else summaries(self.store, self.coherence)

    @property
    def inferences(self) -> dict[str, pd.DataFrame]:
        """Return the tables of the statistics that this run can have."""
        return {name: table for name, table in self.summaries.made.items() if name not in DRAWN_ONLY}

    def unable(self, trials: pd.DataFrame, grader: str) -> pd.Series:
        """Tell of each row of trials whether the model cannot give such answers, by a grader."""
        return unable(trials, self.inferences.get("capability", pd.DataFrame()), grader)

    def rates(self, *by: str) -> pd.DataFrame:
        """Return rates, all sites pooled, by columns such as arm; with several graders there is a column `grader`."""
        if by not in self._rates:
            self._rates[by] = self._counted(by) if self.is_graded else pd.DataFrame()
        return self._rates[by]

    @cached_property
    def _rates(self) -> dict[tuple[str, ...], pd.DataFrame]:
        """Keep the rates, which the page and the LaTeX tables both ask for."""
        return {}

    def _counted(self, by: tuple[str, ...]) -> pd.DataFrame:
        parts, cells = [], cells_table(self.store)
        for grader in self.graders or [PREFERRED]:
            alike = alike_table(self.store, cells, grader, self.coherence)
            part = rates(alike.assign(cannot_answer=self.unable(alike, grader)), by=by, grader=grader)
            parts.append(part.assign(grader=grader) if len(self.graders) > 1 else part)
        return pd.concat(parts, ignore_index=True)
