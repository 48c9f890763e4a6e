"""How many trials a run was to have, from its manifest alone. In goes a manifest, out come counts, or None.

Neither the model nor the user's files are needed, so a run that was carried to another machine can be counted too.
"""

from collections.abc import Mapping
from typing import Any

from introspect.errors import InputError
from introspect.injection.plan.grid import Grid
from introspect.injection.plan.plan import plan
from introspect.protocols import Question, Variant, protocol_named
from introspect.records.trial import OF_ANOTHER, Site
from introspect.selection import select

_Manifest = Mapping[str, Any]  # Any: JSON

PlannedCounts = dict[tuple[str, str, str], int]
"""Trials by question, template and arm."""


def planned_counts(manifest: _Manifest) -> PlannedCounts | None:
    """Count the trials that were planned; None where the manifest does not say enough, or names what is not there."""
    try:
        tallies = plan(_grid(manifest)).counts.tallies
    except (KeyError, InputError):
        return None
    counts: PlannedCounts = {}
    for (variant, arm), tally in tallies.items():
        key = (variant.question.name, variant.template, arm)
        counts[key] = counts.get(key, 0) + tally.trials
    return counts


def _grid(manifest: _Manifest) -> Grid:
    """Make the grid again; what does not change the number of trials is left out."""
    words = tuple(manifest["vectors"]["words"])
    return Grid(
        model=manifest["model"],
        weights_hash=manifest["weights_hash"],
        dtype=manifest["dtype"],
        protocol=manifest["protocol"],
        variants=tuple(_variants(manifest)),
        totals=tuple(manifest["totals"]),
        remaining=manifest["remaining_loops"],
        layers=manifest["n_layers"],
        concepts=words,
        sites=tuple(map(Site.read, manifest["sites"])),
        strengths=tuple(manifest["strengths"]),
        vectors_hash="",
        vector_loops=max(manifest["totals"]),
        mode=manifest["inject"],
        arms=tuple(manifest["arms"]),
        partners={arm: {word: word for word in words} for arm in OF_ANOTHER},
        extract_loops=_extracted(manifest),
        unit=manifest["strength_unit"],
        repeats=manifest["repeats"],
    )


def _extracted(manifest: _Manifest) -> tuple[int | None, ...]:
    given = manifest["extract_loops"]
    return (None,) if given == "same" else tuple(select(given, max(manifest["totals"]), option="extract_loops"))


def _variants(manifest: _Manifest) -> list[Variant]:
    """Return each question with the templates in which it was asked."""
    questions = [each for each in protocol_named(manifest["protocol"]).questions if each.name in manifest["questions"]]
    first = protocol_named(manifest["protocol"]).questions[0]
    return [
        Variant(question, name, template_hash)
        for question in questions
        for template_hash, (name, _) in manifest["templates"].items()
        if _belongs(question, name, questions, own=question is first and manifest["template"] is not None)
    ]


def _belongs(question: Question, template: str, questions: list[Question], *, own: bool) -> bool:
    """Tell whether a question was asked in a template; `own`: in that of the user, which no other question has."""
    if not own:
        return template in question.templates.values()
    return not any(template in each.templates.values() for each in questions if each is not question)
