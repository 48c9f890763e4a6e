"""What a run says, in sentences with interval and p value. In go findings, out comes a list of sentences.

A protocol has the contrast of its questions, or the shift against no injection, or right answers against chance. Where
the model cannot answer at all, that is said in place of a rate.
"""

import json
from collections.abc import Iterator

import pandas as pd

from introspect.protocols import WRITTEN, gates, kind_of, questions_of, silent_protocols
from introspect.report.bounds import VerdictCounts, against_chance, between_two
from introspect.report.differences import Difference, against, against_balanced, between_arms, difference_over_concepts
from introspect.report.findings import Findings
from introspect.report.numbers import counted, interval, listed, number, p_said, percent
from introspect.results.figures.style import ARM_LABELS
from introspect.results.statistics.capability import ACCURACY_FLOOR, CANNOT_ANSWER, MASS_FLOOR
from introspect.results.tables.effects.compression import EXTRAPOLATED
from introspect.results.tables.rates.control_cosines import cosines
from introspect.results.tables.rates.echoes import unended_said

ESTIMATE = ("mean", "low", "high", "p", "n")
UNABLE_TO = {"yes or no": "yes or no", "options": "with one of the options", "repeat": "by repeating a line"}
"""How the kinds of answers in capability.csv are said."""
_LOGITS = "logit(yes) \N{MINUS SIGN} logit(no)"


def headline(found: Findings) -> list[str]:
    """Return the sentences, the most important one first; never none."""
    if found.is_empty:
        return ["Nothing can be said yet: this run holds no trial."]
    if not (found.trials["state"] == "done").any():
        return ["Nothing can be said: every trial that was run failed."]
    if found.manifest.get("protocol") in silent_protocols():
        return [_cosines(found)]
    unable, unended = list(_incapable(found)), unended_said(found.store)
    more = [f"{unended}."] if unended else []
    asked = found.trials[~found.trials["question"].isin(gates())]
    if unable and found.unable(asked, found.graders[0]).all():
        return [*unable, *more, *_contrasts(found)]
    made = (_contrasts, _shifts, _noticed, _choices, _undecided)
    said = [*(sentence for make in made for sentence in make(found)), *unable, *more]
    return said or ["This run has no injected trials to compare with others, so there is no headline."]


def _incapable(found: Findings) -> Iterator[str]:
    """Say with how many loops the model cannot answer, and in which way, by the first grader."""
    table = found.inferences.get("capability", pd.DataFrame(columns=["grader", "verdict"]))
    mine = table["grader"] == "".join(found.graders[:1])
    for _, row in table[mine & (table["verdict"] == CANNOT_ANSWER)].iterrows():
        unknown = f", {row['unknown']} unknown" if row["unknown"] else ""
        answers = f"{row['k']} of {row['n'] + row['unknown']} answers right (floor {percent(ACCURACY_FLOOR)}){unknown}"
        mass = f"{percent(float(row['mass']))} of its probability on the answers (floor {percent(MASS_FLOOR)}) and "
        yield (
            f"Run for {counted(int(row['n_loops']), 'loop')} the model cannot answer {UNABLE_TO[row['answers']]}: with "
            f"nothing injected it has {mass if row['mass'] == row['mass'] else ''}{answers}, so that no rate of such "
            "questions is a finding."
        )


def _contrasts(found: Findings) -> Iterator[str]:
    """Say the primary contrast of each wording, averaged over all cells."""
    table = found.inferences.get("contrasts", pd.DataFrame(columns=["strength", "template", "effect"]))
    whole = table[table["strength"].isna()]
    for template, part in whole.groupby("template", sort=False):
        name, against_what = ("contrast", "than random directions of the same norm did")
        if not part.loc[part["effect"].isin(["contrast", "random"]), "n"].any():
            name, against_what = "injected", "than nothing did (there are no random directions to compare with)"
        row = {key: float(value) for key, value in part[part["effect"] == name].iloc[0].items() if key in ESTIMATE}
        difference = Difference(row["mean"], row["low"], row["high"], row["p"], int(row["n"]))
        yield (
            f"On “{template}”, the concept's vector moved {_LOGITS} by {_said(difference)} further towards yes "
            f"{against_what}, beyond what it does to plain questions with the same {_LOGITS} before the injection."
            f"{_outside(part)}{_leaning(part)}"
        )


def _outside(part: pd.DataFrame) -> str:
    """Say that the question about noticing stands outside of the plain questions' span, where it does."""
    notes = part["note"].dropna()
    found = notes[notes.str.startswith(EXTRAPOLATED)]
    return "" if found.empty else f" The line of plain questions was prolonged for this ({found.iloc[0]})."


def _leaning(part: pd.DataFrame) -> str:
    """Say which answer is ahead all the same: a vector may move an answer that stays what it was."""
    row = part[part["effect"] == "leaning"].iloc[0]
    if not row["n"]:
        return ""
    ahead = "Yes" if row["mean"] > 0 else "No"
    return (
        f" {ahead} was ahead, {_LOGITS} being {number(row['mean'])} ({interval(row['low'], row['high'])}) on average."
    )


def _shifts(found: Findings) -> Iterator[str]:
    """Say the shift against no injection, of a question about noticing that has no plain questions beside it."""
    if "contrasts" in found.inferences:
        return
    for (question, template), asked in _injected_and_more(found, noticing=True):
        said = _said(between_arms(asked, "difference", "injected", "none"))
        yield (
            f"On “{question}” ({template}){_pooled(asked)}, {_LOGITS} was higher by {said} with the concept's vector "
            "than with nothing injected; without plain questions under the same injection this may be "
            "a shift towards yes on anything."
        )


def _noticed(found: Findings) -> Iterator[str]:
    """Say how often a thought was said to be noticed in every arm, which the text alone shows."""
    for (question, template), asked in _injected_and_more(found, noticing=True):
        if not found.graders:
            continue
        arms = [arm for arm in ARM_LABELS if arm in set(asked["arm"])]
        column = f"{found.graders[0]}_detected"
        counts = {arm: _verdicts(asked[asked["arm"] == arm], column) for arm in arms}
        said = "; ".join(f"{ARM_LABELS[arm]} {each.said}" for arm, each in counts.items())
        control = next((arm for arm in ("none", "random", "wrong") if arm in counts), "injected")
        left_open = between_two(counts["injected"], counts[control], (ARM_LABELS["injected"], ARM_LABELS[control]))
        about = f"On “{question}” ({template}){_pooled(asked)}"
        yield f"{about}, a thought was said to be noticed with: {said}. {left_open}".strip()


def _choices(found: Findings) -> Iterator[str]:
    """Say how often the right option was given, against chance."""
    for (question, template), asked in _injected_and_more(found, noticing=False):
        injected = asked[(asked["arm"] == "injected") & asked["expected"].notna()]
        if kind_of(question) == "naming":
            yield from _named(question, template, asked, found.graders[0])
        if injected.empty or kind_of(question) in WRITTEN or injected["options"].isna().all():
            continue
        column, chance = f"{found.graders[0]}_correct", 1 / _options(injected)
        known = injected[injected[column].notna()].astype({column: "float64"})
        if known.empty:
            yield f"On “{question}”, none of {counted(len(injected), 'answer')} under the concept's vector can be read."
            continue
        test, balanced = against(known, column, chance), ""
        if injected["options"].nunique() == 1 and known["expected"].nunique() > 1:
            test = against_balanced(known, column, chance)
            balanced = (
                f" Balanced over the right answers, so that always saying the same is chance: {_share(test, chance)}."
            )
        right, none = (_verdicts(part, column) for part in (injected, asked[asked["arm"] == "none"]))
        said = (
            f"On “{question}” ({template}){_pooled(asked)}, the right answer was given in {right.said} under "
            f"the concept's vector; chance is {percent(chance)} ({p_said(test.p)}, "
            f"{counted(test.concepts, 'concept')}).{balanced} With nothing injected: {none.said}. "
            f"{against_chance(right, chance)}"
        )
        yield said.strip()


def _named(question: str, template: str, asked: pd.DataFrame, grader: str) -> Iterator[str]:
    """Say how often the concept was named freely in every arm; what chance would be, no list of words tells."""
    arms = [arm for arm in ARM_LABELS if arm in set(asked["arm"])]
    counts = {arm: _verdicts(asked[asked["arm"] == arm], f"{grader}_correct") for arm in arms}
    said = "; ".join(f"{ARM_LABELS[arm]} {each.said}" for arm, each in counts.items())
    control = next((arm for arm in ("none", "random", "wrong") if arm in counts), "injected")
    left_open = between_two(counts["injected"], counts[control], (ARM_LABELS["injected"], ARM_LABELS[control]))
    yield f"On “{question}” ({template}){_pooled(asked)}, the concept was named with: {said}. {left_open}".strip()


def _undecided(found: Findings) -> Iterator[str]:
    """Say how the first option's share differs from that with nothing injected, where no option is right."""
    for (question, template), asked in _injected_and_more(found, noticing=False):
        if asked["expected"].notna().any() or asked["options"].isna().all() or kind_of(question) in WRITTEN:
            continue
        option, answer = json.loads(asked["options"].iloc[0])[0], f"{found.graders[0]}_answer"
        known = asked[asked[answer].notna()]
        if known.empty:
            yield f"On “{question}”, none of {counted(len(asked), 'answer')} can be read."
            continue
        known = known.assign(first=(known[answer] == option).astype(float))
        said = _said(between_arms(known, "first", "injected", "none"))
        first = (asked[answer] == option).astype("Float64").where(asked[answer].notna())
        shares = [_verdicts(asked.assign(first=first)[asked["arm"] == arm], "first") for arm in ("injected", "none")]
        yield (
            f"On “{question}” ({template}){_pooled(asked)}, “{option}” was answered in {shares[0].said} "
            f"under the concept's vector and in {shares[1].said} with nothing injected; the share differs by {said}."
        )


def _cosines(found: Findings) -> str:
    """Say the difference between the two instructions, averaged over all pairs and sites, so that none is selected."""
    table = cosines(found.store)
    if table.empty:
        return "No pair of instructions, to think and not to think, has been measured on both sides yet."
    difference = difference_over_concepts(table.groupby("concept")["difference"].mean())
    return (
        "Told to think about a word, states pointed along its vector more than when told not to, by a cosine of "
        f"{_said(difference)}, averaged over all loops and layers; below 0 they pointed along it less."
    )


def _injected_and_more(found: Findings, *, noticing: bool) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """Yield the trials that are done of each question and wording that was asked under an injection."""
    trials = found.trials[found.trials["state"] == "done"]
    trials = trials[trials["question"].isin(questions_of("noticing")) == noticing]
    order = {name: place for place, name in enumerate(found.manifest.get("questions", []))}
    groups = [(key, part) for key, part in trials.groupby(["question", "template"])]
    for key, asked in sorted(groups, key=lambda group: order.get(group[0][0], len(order))):
        if (asked["arm"] == "injected").any() and (noticing or found.graders):
            yield (str(key[0]), str(key[1])), asked


POOLED = {
    **{"loop": "loops", "layer": "layers", "strength": "strengths", "sites": "sets of sites"},
    **{"extract_loop": "loops of the vectors", "n_loops": "numbers of loops run"},
}
"""What a sentence puts together, by the column in which it varies."""


def _pooled(asked: pd.DataFrame) -> str:
    """Say over what the injected trials of a rate are put together; "" where they share all of it."""
    injected = asked[asked["arm"] == "injected"]
    found = [said for column, said in POOLED.items() if injected[column].nunique(dropna=False) > 1]
    if {"loops", "layers"} & set(found):  # the sites differ with these
        found = [said for said in found if said != POOLED["sites"]]
    return f", over all {listed(found)}" if found else ""


def _share(test: Difference, chance: float) -> str:
    """Write the share that a difference from chance stands for."""
    bounds = interval(test.low + chance, test.high + chance, share=True)
    return f"{percent(test.mean + chance)} (95% interval {bounds})"


def _verdicts(asked: pd.DataFrame, column: str) -> VerdictCounts:
    return VerdictCounts.of(asked[column], asked["concept"])


def _options(asked: pd.DataFrame) -> int:
    return len(json.loads(asked["options"].iloc[0]))


def _said(found: Difference) -> str:
    if found.concepts == 0:
        return "an amount that is missing (no concept has all its parts)"
    bounds = interval(found.low, found.high)
    said = bounds if bounds.startswith("no") else f"95% interval {bounds}"
    return f"{number(found.mean)} ({said}; {p_said(found.p)}; {counted(found.concepts, 'concept')})"
