"""What was asked in a run: its options in words, every question in its wordings, and the counts of trials.

In go findings, out come pairs of text, wordings with the span marked, and a table.
"""

import json
from dataclasses import dataclass

import pandas as pd

from introspect.prompts import Template
from introspect.protocols import PROTOCOLS
from introspect.report.findings import Findings
from introspect.report.marking import Shown, marked_prompt
from introspect.report.numbers import MISSING, counted
from introspect.report.partner_cosines import partner_lines
from introspect.report.sheets import Sheet, sheet
from introspect.results.figures.style import ARM_LABELS

WORDINGS = """SELECT question, template, template_hash, coalesce(min(CASE WHEN arm = 'injected' THEN id END), min(id))
    FROM trials JOIN cells USING (cell) GROUP BY 1, 2, 3 ORDER BY min(trials.n)"""
_UNITS = {
    "vector": "multiples of the concept vector",
    "residual": "multiples of the residual norm at the site",
    "kl": "nats of KL divergence of the next-token distribution",
}
SITES = {"each": "one a trial", "loops": "all loops of a layer in one trial", "together": "all in one trial"}


@dataclass(frozen=True)
class Wording:
    """A question as a trial asked it."""

    question: str
    template: str
    comment: str
    """The comment at the head of the template."""
    trial: str
    """Id of the trial."""
    prompt: Shown


def wordings_asked(found: Findings) -> list[Wording]:
    """Return every question in every wording, as the injected trial with the lowest id asked it, else any trial."""
    templates, made = found.manifest.get("templates", {}), []
    for question, template, template_hash, trial_id in found.store.select(WORDINGS):
        variables = dict(found.store.trial(trial_id).variables)
        comment = Template(*templates[template_hash]).comment if template_hash in templates else ""
        prompt = marked_prompt(templates, template_hash, variables)
        made.append(Wording(question, template, comment, trial_id, prompt))
    return made


def settings(found: Findings) -> list[tuple[str, str]]:
    """Say the options of the run in words; one that the manifest lacks is said to be missing."""
    has = found.manifest
    protocol = PROTOCOLS.get(str(has.get("protocol")))
    words = has.get("vectors", {}).get("words", [])
    return [
        ("model", f"{has.get('model', MISSING)} (weights {has.get('weights_hash', MISSING)})"),
        ("protocol", f"{has.get('protocol', MISSING)}{f': {protocol.summary}' if protocol else ''}"),
        ("questions", _list(has, "questions")),
        ("arms", ", ".join(ARM_LABELS.get(arm, arm) for arm in has.get("arms", [])) or MISSING),
        *partner_lines(found),
        ("sites", f"{_list(has, 'sites')} (loop:layer), {SITES.get(str(has.get('inject')), MISSING)}"),
        ("loops run", _list(has, "totals")),
        ("strengths", f"{_list(has, 'strengths')} ({_UNITS.get(str(has.get('strength_unit')), 'unit missing')})"),
        ("vectors of loop", str(has.get("extract_loops", MISSING))),
        ("concepts", f"{len(words)}: {', '.join(words)}" if words else MISSING),
        ("repeats, seed", f"{has.get('repeats', MISSING)}, {has.get('seed', MISSING)}"),
        ("temperature, top p", f"{has.get('temperature', MISSING)}, {has.get('top_p', MISSING)}"),
        ("longest answer", f"{has.get('max_new_tokens', MISSING)} tokens"),
        ("graded by", ", ".join(found.graders) or "nobody yet"),
    ]


def trial_counts(found: Findings) -> Sheet:
    """Count the trials planned, done, failed and not run, by question, wording and arm."""
    keys, trials = ["question", "template", "arm"], found.trials
    done = trials.assign(done=trials["state"] == "done").groupby(keys)["done"]
    table = pd.DataFrame({"done": done.sum(), "failed": done.size() - done.sum()}).astype("int64")
    if found.planned is not None:
        wanted = pd.Series(found.planned, name="planned").rename_axis(keys)
        table = table.join(wanted, how="outer").fillna(0).astype("int64")
        table["not run"] = (table["planned"] - table["done"] - table["failed"]).clip(lower=0)
        table = table[["planned", "done", "failed", "not run"]]
    table = table.reset_index().assign(arm=lambda rows: rows["arm"].map(lambda arm: ARM_LABELS.get(arm, arm)))
    note = "" if found.planned is not None else "How many trials were planned cannot be told from the manifest."
    return sheet("counts", "Trials by question and arm", table, note)


def standing(found: Findings) -> str:
    """Say in a sentence how much of the run there is."""
    done, failed = found.store.count("done"), found.store.count("error")
    planned = None if found.planned is None else sum(found.planned.values())
    of = "of an unknown number planned" if planned is None else f"of {planned:,} planned"
    said = f"{counted(done, 'trial')} done {of}, {failed:,} failed"
    if found.is_empty:
        return f"This run is empty: {said}."
    if planned is not None and done + failed < planned:
        return f"This run is not finished: {said}, {planned - done - failed:,} not run yet. All below may still change."
    return f"{said[0].upper()}{said[1:]}."


def _list(manifest: dict[str, object], name: str) -> str:
    values = manifest.get(name)
    if not isinstance(values, list):
        return MISSING
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values) or "none"


def manifest_entries(found: Findings) -> list[tuple[str, str]]:
    """Return the manifest as names and JSON; templates have lines of their own, as they were."""
    entries = []
    for name, value in found.manifest.items():
        if name in ("templates", "reference"):
            entries += [(f"template {key}: {given[0]}", given[1]) for key, given in value.items()]
        else:
            short = json.dumps(value, ensure_ascii=False)
            entries.append((name, short if len(short) <= 80 else json.dumps(value, indent=1, ensure_ascii=False)))
    return entries
