"""What a run says, in sentences with interval and p value. In go findings, out comes a list of sentences.

A protocol has the contrast of its questions, or the shift against no injection, or right answers against chance. Where
the model cannot answer at all, that is said in place of a rate.
"""

from collections.abc import Iterator

import pandas as pd

from introspect.grading.picking import DETECTION, REPEATING
from introspect.protocols import SILENT
from introspect.report.cosines import cosine_differences, overall
from introspect.report.differences import Difference, against, between_arms
from introspect.report.gathering import Findings
from introspect.report.spelling import counted, interval, number, p_said, percent
from introspect.results.statistics import wilson
from introspect.results.statistics.capability import ACCURACY_FLOOR, CANNOT_ANSWER, MASS_FLOOR

LOGITS = "logit(yes) \N{MINUS SIGN} logit(no)"


def headline(found: Findings) -> list[str]:
    """Give the sentences, the most important one first; never none."""
    if found.is_empty:
        return ["Nothing can be said yet: this run holds no trial."]
    if not (found.trials["state"] == "done").any():
        return ["Nothing can be said: every trial that was run failed."]
    if found.manifest.get("protocol") in SILENT:
        return [_cosines(found)]
    if cannot_answer(found):
        return [_incapable(found)]
    said = [*_contrasts(found), *_shifts(found), *_choices(found), *_undecided(found)]
    return said or ["This run has no injected trials to compare with others, so there is no headline."]


def cannot_answer(found: Findings) -> bool:
    """Tell whether the capability gate is closed, so that no rate of noticing is reported."""
    return found.capability is not None and found.capability["verdict"] == CANNOT_ANSWER


def _incapable(found: Findings) -> str:
    row = found.capability
    assert row is not None
    answers = f"{row['k']} of {row['n'] + row['unknown']} answers right (floor {percent(ACCURACY_FLOOR)})"
    mass = f"{percent(float(row['mass']))} of its probability on yes and no (floor {percent(MASS_FLOOR)})"
    return f"The model cannot answer: on plain questions it has {mass} and {answers}, so no rate is a finding here."


def _contrasts(found: Findings) -> Iterator[str]:
    """Say the primary contrast of each wording, averaged over all cells."""
    table = found.inferences.get("contrasts", pd.DataFrame(columns=["strength", "template", "effect"]))
    whole = table[table["strength"].isna()]
    for template, part in whole.groupby("template", sort=False):
        rows = part.set_index("effect")
        name, against_what = ("contrast", "than random directions of the same norm did")
        if not rows.loc["contrast", "n"]:
            name, against_what = "injected", "than nothing did (there are no random directions to compare with)"
        row = rows.loc[name]
        difference = Difference(*(float(row[each]) for each in ("mean", "low", "high", "p")), int(row["n"]))
        yield (
            f"On “{template}”, the concept's vector moved {LOGITS} by {_said(difference)} further towards yes "
            f"{against_what}, after the shift on plain questions under the same injection is taken off."
        )


def _shifts(found: Findings) -> Iterator[str]:
    """Say the shift against no injection, of a question about noticing that has no plain questions beside it."""
    if "contrasts" in found.inferences:
        return
    for (question, template), asked in _injected_and_more(found, noticing=True):
        said = _said(between_arms(asked, "difference", "injected", "none"))
        yield (
            f"On “{question}” ({template}), {LOGITS} was higher by {said} with the concept's vector than with nothing "
            "injected; without plain questions under the same injection this may be a shift towards yes on anything."
        )


def _choices(found: Findings) -> Iterator[str]:
    """Say how often the right option was given, against chance."""
    for (question, _), asked in _injected_and_more(found, noticing=False):
        injected = asked[(asked["arm"] == "injected") & asked["expected"].notna()]
        if injected.empty or question in REPEATING or injected["options"].isna().all():
            continue
        column, chance = f"{found.graders[0]}_correct", 1 / _options(injected)
        known = injected[injected[column].notna()].astype({column: "float64"})
        if known.empty:
            yield f"On “{question}”, none of {counted(len(injected), 'answer')} under the concept's vector can be read."
            continue
        test = against(known, column, chance)
        rate = _rate(int(known[column].sum()), len(known), len(injected) - len(known))
        none = _rate_in(asked[asked["arm"] == "none"], column)
        yield (
            f"On “{question}”, the right answer was given in {rate} under the concept's vector; chance is "
            f"{percent(chance)} ({p_said(test.p)}, {counted(test.concepts, 'concept')}). With nothing injected: {none}."
        )


def _undecided(found: Findings) -> Iterator[str]:
    """Say how the first option's share differs from that with nothing injected, where no option is right."""
    for (question, _), asked in _injected_and_more(found, noticing=False):
        if asked["expected"].notna().any() or asked["options"].isna().all():
            continue
        option, answer = asked["options"].iloc[0].split('"')[1], f"{found.graders[0]}_answer"
        known = asked[asked[answer].notna()]
        if known.empty:
            yield f"On “{question}”, none of {counted(len(asked), 'answer')} can be read."
            continue
        known = known.assign(first=(known[answer] == option).astype(float))
        said = _said(between_arms(known, "first", "injected", "none"))
        shares = [_rate_in(known[known["arm"] == arm], "first") for arm in ("injected", "none")]
        yield (
            f"On “{question}”, “{option}” was answered in {shares[0]} under the concept's vector and in {shares[1]} with "
            f"nothing injected; the share differs by {said}."
        )


def _cosines(found: Findings) -> str:
    differences = cosine_differences(found.store)
    if differences.empty:
        return "No pair of instructions, to think and not to think, has been measured on both sides yet."
    return (
        "Told to think about a word, states pointed along its vector more than when told not to, by a cosine of "
        f"{_said(overall(differences))}, averaged over all loops and layers; below 0 they pointed along it less."
    )


def _injected_and_more(found: Findings, *, noticing: bool) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """Give the trials that are done of each question and wording that was asked under an injection."""
    trials = found.trials[found.trials["state"] == "done"]
    trials = trials[trials["question"].isin(DETECTION) == noticing]
    for key, asked in trials.groupby(["question", "template"], sort=False):
        if (asked["arm"] == "injected").any() and (noticing or found.graders):
            yield key, asked


def _options(asked: pd.DataFrame) -> int:
    return int(asked["options"].str.count('", "').iloc[0]) + 1


def _rate_in(trials: pd.DataFrame, column: str) -> str:
    known = trials[column].dropna().astype(float)
    return _rate(int(known.sum()), len(known), len(trials) - len(known))


def _rate(k: int, n: int, unknown: int) -> str:
    beside = f", {unknown} unknown" if unknown else ""
    if not n:
        return f"no answer that can be read{beside}"
    low, high = wilson(k, n)
    return f"{k} of {n} ({percent(k / n)}; 95% interval {interval(float(low), float(high), share=True)}{beside})"


def _said(found: Difference) -> str:
    if found.concepts == 0:
        return "an amount that is missing (no concept has all its parts)"
    bounds = interval(found.low, found.high)
    said = bounds if bounds.startswith("no") else f"95% interval {bounds}"
    return f"{number(found.mean)} ({said}; {p_said(found.p)}; {counted(found.concepts, 'concept')})"
