"""The statistics of a run as sheets, each with a title and what it means. In go findings, out come sheets."""

import pandas as pd

from introspect.prompts.echo import LONG, SHORT
from introspect.report.findings import Findings
from introspect.report.sheets import Sheet, sheet
from introspect.results.figures.style import ARM_LABELS
from introspect.results.statistics.capability import ACCURACY_FLOOR, MASS_FLOOR

_TITLES = {
    "contrasts": (
        "The primary contrast",
        "Mean over concepts of logit(yes) \N{MINUS SIGN} logit(no). An effect is the shift of the question about "
        "noticing beyond the line along which the same arm shifts plain questions in the same cell, at the question's "
        "logit without an injection. The contrast is the effect of the concept's vector minus that of random "
        "directions. The leaning is where the injected answers ended, on the side of yes above 0. p by sign flips over "
        "concepts; “whole map” is corrected for looking at every cell.",
    ),
    "compression": (
        "What an injection does to plain questions",
        "The line along which plain questions of both answers are shifted: means over concepts with t intervals, the "
        "first rows over all cells. Slope: the shift per logit of what the question would be without an injection; "
        "below 0 all logits are pulled towards 0. Intercept: the shift of an undecided question; above 0 it is a pull "
        "towards yes. Entropy: the change in nats of the next-token distribution where the answer begins.",
    ),
    "sensitivity": (
        "Sensitivity and bias",
        "d' and criterion from the verdicts, AUC from logit(yes) \N{MINUS SIGN} logit(no); intervals over concepts.",
    ),
    "naming": (
        "The concept chosen among several",
        "Against chance a one-sided binomial test at the number of independent trials; against the habit, the same "
        "word among the same words on offer with nothing injected, paired sign flips over concepts. Mutual "
        "information of the word injected and the one named, against names permuted among the trials that offer them.",
    ),
    "against": (
        "The concept's vector against other arms",
        "Effects beyond the line of plain questions, as in the primary contrast; the difference is that of the "
        "concept's vector minus the other arm's. The concept in the text has one effect for all cells. The first rows "
        "are over all cells; p by sign flips over concepts.",
    ),
    "third_person": (
        "The first person against the third",
        "The same injection, asked about the model itself and about another one. What is said of oneself counts as "
        "far as it exceeds what is said of another: the excess, with t intervals over concepts; p by sign flips over "
        "concepts. The first rows are over all cells. Contrast and injected are in logits, detected and identified "
        "are shares.",
    ),
    "wordings": (
        "Over wordings and concepts",
        "The effects with wordings and concepts as crossed random factors: intervals say what other wordings and other "
        "concepts would show. The first rows of each effect are over all cells.",
    ),
    "guesses": (
        "Wrong words that are named",
        "Share of each word among the wrong answers of an arm, beside its share among answers with nothing injected: "
        "what a model names by default, it names in both.",
    ),
    "confusion": (
        "Wrong words by category",
        "For concepts of a category, the category of the word that is named wrongly, beside that of the words named "
        "with nothing injected about the same concepts.",
    ),
    "ranks": (
        "Rank of the concept's first token where the answer begins",
        "0 is the most probable token of the vocabulary; intervals over concepts.",
    ),
    "capability": (
        "Can the model answer at all?",
        "Questions with nothing injected, by kind of answer: plain ones with yes or no; the question with options in "
        "which the model does best (where no option is right, any counts that is named; where it names none "
        "without an injection, the arm under which it does); and the line to be repeated. "
        f"The floors are {MASS_FLOOR:.0%} of the probability on the answer tokens and {ACCURACY_FLOOR:.0%} of all "
        "answers right; below them no null is a finding. Echo: the share of answers to the other questions that repeat "
        "their prompt.",
    ),
    "echo": (
        "Do answers echo the prompt?",
        f"Answers that share {LONG} words in a row with their prompt, or {SHORT} that are half of the answer, and the "
        "mean length of the longest run: what is said in such a run is ours.",
    ),
    "timing": ("Time to detection", "At which token of the answer, and after which loop, a thought is first noticed."),
    "control": (
        "Cosine with the concept's vector: told to think about it, and told not to",
        "Means over concepts, the first rows over all pairs of instructions; mean, interval and p (sign flips over "
        "concepts) are of the difference.",
    ),
    "agreement": (
        "Agreement of every two graders",
        "Cohen's kappa with its interval; kappa is missing where both give one and the same verdict throughout.",
    ),
}
MAPPED = "contrasts"
OVERALL = "contrasts-overall"


def inferred(found: Findings) -> dict[str, Sheet]:
    """Make the sheets of the statistics by name; those that the run cannot have are not there."""
    sheets = {}
    for name, table in found.inferences.items():
        title, note = _TITLES.get(name, (name.replace("_", " ").capitalize(), ""))
        table = _in_words(table)
        if name == MAPPED:
            whole = table["strength"].isna()
            kept = [each for each in table if each not in ("loop", "layer", "strength", "p_map", "p_student_map")]
            sheets[OVERALL] = sheet(OVERALL, f"{title}, averaged over all cells", table.loc[whole, kept], note)
            table, title, note = table[~whole], f"{title}, cell by cell", ""
        sheets[name] = sheet(name, title, table, note)
    return sheets


def _in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Name arms in words, and put the grader first."""
    for name in ("arm", "control", "effect"):
        if name in table:
            table = table.assign(**{name: table[name].map(lambda arm: ARM_LABELS.get(arm, arm))})
    first = [name for name in ("grader", "template", "question", "pair") if name in table]
    return table[[*first, *(name for name in table if name not in first)]]
