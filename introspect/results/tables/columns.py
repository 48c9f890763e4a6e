"""What each table of a run is, and what each of its columns means: one definition for the documentation and the tests.

A column means the same in every table. Rates and shares lie between 0 and 1. Loops and layers count from 0. An empty
field is missing: nothing was there to be measured, or nothing could be estimated, which `note` then explains.
"""

TABLES = {
    "trials": "One row per trial, with the prompt's settings, the answer and its grades.",
    "rates": "Rates of every verdict per arm, loop, layer and strength.",
    "loops": "The same per loop, over all layers.",
    "readouts": "Loop of the injection against loop of the read-out: the mean of logit(yes) - logit(no).",
    "contrasts": "The primary contrast over all cells and in each cell.",
    "compression": "What an injection does to plain questions: slope, pull towards yes, entropy, per arm and cell.",
    "sensitivity": "d' and criterion of every cell against each control, AUC against those with an injection.",
    "naming": "The concept chosen among several, against chance and habit.",
    "ranks": "Rank of the concept's first token where the answer begins.",
    "timing": "Tokens until the answer claims to notice, and the first loop after which yes outweighs no.",
    "control": "Cosine of states with a concept's vector, told to think of it against told not to.",
    "exits": "The loop at which the exit gate would leave, injected against controls.",
    "routed": "Share of the injection span's tokens that each loop has run, where tokens are routed.",
    "capability": "Can the model answer plain questions at all, with nothing injected?",
    "echo": "How many answers repeat the prompt.",
    "agreement": "Agreement of every two graders, and of each with human labels.",
    "corrected": "Rates corrected by what human labels say about the grader.",
    "compare": "Two runs side by side: rates and contrasts of each, and the second minus the first.",
    "best": "The best cell, chosen on half of the concepts and measured on the other half.",
}
"""Tables of a run, by the name of their file in `tables/`."""

_PLACE = {
    "arm": "What was added: the concept's vector, or a control.",
    "loop": "Loop of the injection; empty when nothing is injected, or not in one loop.",
    "layer": "Layer of the injection, within its loop.",
    "strength": "Multiple of the concept's vector, or of what `strength_unit` says.",
    "strength_unit": "vector, residual (mean norm of the residual stream at the site) or kl (nats).",
    "sites": "All sites of the injection, where there are several or one lies outside of the loops.",
    "n_sites": "Number of sites of the injection.",
    "extract_loop": "Loop whose states gave the injected vector.",
    "n_loops": "Loops run in every forward.",
    "loops": "Loops of the injection, where it is in several at once.",
    "question": "Which question of the protocol was asked.",
    "template": "Wording of the question.",
    "protocol": "The protocol.",
    "pair": "Pair of instructions; all: every pair together.",
    "grader": "Whose verdicts, where there are several graders.",
    "coherence": "model: verdicts on answers below the model's own floor count as unknown.",
}
_TRIAL = {
    "trial": "Id: a hash of everything that determines the trial.",
    "model": "Name of the model, with how loops were given to it.",
    "weights_hash": "Hash of weights, tokenizer and settings.",
    "dtype": "Number format in which it was run.",
    "template_hash": "Hash of the wording.",
    "concept": "The concept of the trial and of its controls.",
    "partner": "The other concept: whose vector the arm wrong injects, or which a question compares with.",
    "options": "Words that were offered, as JSON.",
    "options_read": "How their probability was read: first tokens, or whole words where two begin with the same token.",
    "expected": "The right answer, where the question has one.",
    "vectors_hash": "Hash of the concept vectors.",
    "repeat": "Number of the repeat, from 0.",
    "seed": "Key of all draws of the sweep.",
    "temperature": "Sampling temperature; 0 is greedy.",
    "top_p": "Least probability mass that tokens are drawn from.",
    "max_new_tokens": "Most tokens of an answer.",
    "decided_by": "Grader whose decision ended the answer early, if asked for.",
    "date": "Day that the chat template was given.",
    "state": "done, or error.",
    "text": "The model's own answer.",
    "finish_reason": "stop, length, turn (it began another turn) or decided.",
    "thinking": "What it wrote inside marks of thinking.",
    "cut": "What it wrote past its own turn; never graded.",
    "echo": "Longest run of words shared with the prompt; in capability, the share of answers that echo it.",
    "clean_logprob": "Mean log-probability per token, in nats, given by the same model with nothing injected.",
    "coherent_by_model": "Whether that lies above the floor of the answers without injection.",
    "vector_norm": "Norm of what was added, at the first site.",
    "residual_norm": "Mean norm of the residual stream at that site, with nothing injected.",
    "relative_norm": "Their ratio.",
    "error": "Why the trial failed.",
}
_GRADE = {
    "version": "Version of the grader.",
    "detected": "Does the answer claim to notice an injected thought?",
    "identified": "Does it name the concept, after it claims to notice?",
    "coherent": "Can it be read?",
    "refused": "Does it decline to answer, or deny having the ability?",
    "correct": "Is it the expected answer?",
    "answer": "The option that was chosen.",
    "state": "ok, or why there is no verdict.",
    "tokens": "Tokens until the words that decided.",
    "evidence": "The words that decided.",
}
"""Columns of trials.csv that stand behind the name of a grader, such as rules_detected."""
_ESTIMATE = {
    "measure": "What is measured: a verdict, or a statistic.",
    "k": "Number of yes.",
    "n": "Number of answers that were decided, or of concepts, over which an interval is taken.",
    "n_control": "The same of the control.",
    "rate": "k / n.",
    "share": "Share of n.",
    "value": "The estimate.",
    "mean": "The mean over concepts.",
    "median": "The median over concepts.",
    "low": "Lower end of the 95% interval; of a rate it knows that trials of one concept are alike.",
    "high": "Upper end of the same interval.",
    "concepts": "Number of concepts.",
    "unknown": "Answers that could be read neither way: a number, or in best.csv a share. They are in no rate.",
    "if_no": "The rate if all unknown answers were no.",
    "if_yes": "The rate if all unknown answers were yes.",
    "errors": "Trials that failed. They are in no rate.",
    "note": "Why something is missing, or what to mind.",
    "effect": "Which effect: contrast, or that of one arm.",
    "dropped": "Concepts that lack a part of the effect.",
    "t": "Mean over standard error.",
    "p": "p value of sign flips over concepts, two-sided.",
    "p_map": "The same, corrected for the largest statistic over all cells.",
    "control": "The control that it is compared with.",
    "readout_loop": "Loop after which the model was read out.",
    "run_loop": "Loop that has run the tokens.",
    "never": "Share of trials in which it never happened.",
    "chance": "Rate of a chooser who knows nothing.",
    "p_chance": "p value against chance.",
    "habit": "Rate of the same word, among the same words on offer, with nothing injected.",
    "p_habit": "p value against habit, paired: sign flips over concepts, two-sided.",
    "bits": "Mutual information of the injected and the chosen word.",
    "bits_null": "Its mean by chance, names permuted among the trials that offer them.",
    "p_bits": "p value of the bits by the same permutations; 1 where each word was injected once.",
    "questions": "Number of different plain questions, over which the intervals are.",
    "mass": "Probability on yes and no together where the answer begins.",
    "mass_low": "Lower end of its interval.",
    "mass_high": "Upper end of its interval.",
    "accuracy": "Share of right answers.",
    "verdict": "can answer, or cannot answer.",
    "echoes": "Answers whose longest run of words from the prompt reaches the limit in `words`.",
    "words": "Words in a row from which an answer counts as an echo.",
    "think": "Mean cosine, told to think of the concept.",
    "do_not": "Mean cosine, told not to.",
    "others": "Mean cosine with the vectors of other concepts.",
    "z": "think - others, in standard deviations of the others.",
    "first": "First grader.",
    "second": "Second grader, or human.",
    "same": "Answers on which both agree.",
    "unknown_first": "Answers unknown to the first.",
    "unknown_second": "Answers unknown to the second.",
    "kappa": "Cohen's kappa.",
    "sensitivity": "Share of the labelled yes that the grader calls yes.",
    "sensitivity_low": "Lower end of its interval.",
    "sensitivity_high": "Upper end of its interval.",
    "specificity": "Share of the labelled no that the grader calls no.",
    "specificity_low": "Lower end of its interval.",
    "specificity_high": "Upper end of its interval.",
    "pooled": "arm: over all cells; cell: in each.",
    "independent": "How many independent trials the n are worth, since those of one concept are alike.",
    "corrected": "The rate corrected by the labels (Rogan and Gladen 1978).",
    "corrected_low": "Lower end of its interval.",
    "corrected_high": "Upper end of its interval.",
    "cells": "Number of cells among which the best was chosen.",
    "chosen": "Value on the half of the concepts that chose.",
    "chosen_low": "Lower end of its interval.",
    "chosen_high": "Upper end of its interval.",
    "value_low": "Lower end of the interval on the other half.",
    "value_high": "Upper end of the interval on the other half.",
    "none": "The control without injection, in the chosen cell.",
    "random": "The random direction, in the chosen cell.",
    "wrong": "The other concept's vector, in the chosen cell.",
}
_COMPARED = {
    "unit": "share or logits.",
    "a": "Value in the first run.",
    "b": "Value in the second run.",
    "difference": "Second run minus first.",
    "pairing": "paired over the concepts of both runs, or unpaired.",
    **{f"{run}_low": f"Lower end of the interval of {run}." for run in ("a", "b")},
    **{f"{run}_high": f"Upper end of the interval of {run}." for run in ("a", "b")},
    **{f"{run}_n": f"Decided answers, or concepts of a contrast, of run {run}." for run in ("a", "b")},
    **{f"{run}_unknown": f"Share of the answers of run {run} without a verdict." for run in ("a", "b")},
    **{f"{run}_concepts": f"Concepts of run {run} in the row." for run in ("a", "b")},
}
COLUMNS = {**_PLACE, **_TRIAL, **_ESTIMATE, **_COMPARED}
"""What a column means, by its name."""


def meaning(column: str) -> str | None:
    """Return what a column of a run's tables means; None for a name that is not described."""
    if column in COLUMNS:
        return COLUMNS[column]
    start, _, end = column.partition("_")
    if start in ("none", "random", "wrong") and end in ("low", "high"):
        return f"{'Lower' if end == 'low' else 'Upper'} end of the interval of {start}."
    return _GRADE.get(column.rsplit("_", 1)[-1]) if "_" in column else None


def grade_columns() -> dict[str, str]:
    """Return what the columns of a grade mean, by what stands behind the grader's name."""
    return dict(_GRADE)
