"""The page: one HTML file that needs nothing else, made anew from the store. In go findings, out comes its text.

No script, no network: figures are data URIs, the style is inside, and the page forbids itself all else. Every text is
escaped by jinja2, and what cannot be seen of it is made visible.
"""

from importlib.metadata import version

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from introspect.report import rate_sheets, setup_sheets
from introspect.report.analysed import analyses_shown
from introspect.report.examples import EACH, absent, by_question, outcomes
from introspect.report.findings import PREFERRED, Findings
from introspect.report.headline import headline
from introspect.report.images import pictures
from introspect.report.numbers import escaped, visible
from introspect.report.statistic_sheets import OVERALL, inferred
from introspect.results.figures.style import ARM_LABELS
from introspect.results.tables.trials.absence import said_absent

_ENVIRONMENT = ImmutableSandboxedEnvironment(
    loader=PackageLoader("introspect.report"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=visible,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"escaped": escaped}
PACKAGE = "introspect-loops"
_MOST_ROWS = 200
"""Rows of a table that are shown; the CSV files have them all."""


def page(found: Findings) -> str:
    """Make the report of a run as it stands; the same store gives the same text."""
    analyses = analyses_shown(found.store.folder)
    grader = next(iter(found.graders), PREFERRED)
    came_out = outcomes(found.store, grader)
    drawn = pictures(found.summaries.made, found.graders)
    return _ENVIRONMENT.get_template("page.html.j2").render(
        version=version(PACKAGE),
        folder=found.store.folder.resolve().name,
        standing=setup_sheets.standing(found),
        headline=headline(found),
        settings=setup_sheets.settings(found),
        wordings=setup_sheets.wordings_asked(found),
        counts=None if found.is_empty else setup_sheets.trial_counts(found),
        why=_why(found),
        controls=rate_sheets.controls(found),
        doses=rate_sheets.doses(found),
        strengths=rate_sheets.strengths(found),
        pictures=drawn.made,
        lacking=said_absent(found.summaries.absent | drawn.absent),
        sheets=inferred(found),
        overall=OVERALL,
        analyses=analyses,
        graders=found.graders,
        grader=grader,
        outcomes=list(by_question(came_out)),
        absent=absent(came_out),
        each=EACH,
        manifest=setup_sheets.manifest_entries(found),
        most_rows=_MOST_ROWS,
        arm_labels=ARM_LABELS,
    )


def _why(found: Findings) -> str:
    """Say why there are no rates; empty where there are."""
    if found.is_empty:
        return "this run holds no trial yet"
    return "" if found.is_graded else "no answer of this run has been graded; introspect grade does that"
