"""What is inferred from a run: planted effects come back, and a table that the run cannot have is not there."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import pandas as pd
import pytest
from made import grade, injection, new_store, plain_pair, response, trial

from introspect.records.response import Grade, Response
from introspect.records.trial import Trial
from introspect.results.statistics.clusters import MIN_CONCEPTS, NO_VALUE, TOO_FEW
from introspect.results.statistics.detection import TOO_FEW_FOR_D_PRIME as TOO_FEW_FOR_D
from introspect.results.tables.inference import infer, inferences
from introspect.results.tables.trials.narrow_trials import narrow_trials

CONCEPTS = ("ash", "dust", "oak", "rye", "sea", "tin")
NOISE = dict(zip(CONCEPTS, (-0.5, -0.3, -0.1, 0.1, 0.3, 0.5), strict=True))
SHIFT, SLOPE, RANDOM = 3.0, -0.5, 0.25
"""By what any injection moves any question, and per logit of it, and what a random vector adds where noticing is asked.
"""

Stored = tuple[Trial, Response, list[Grade]]


def noticed(loop: int) -> float:
    return 1.0 + loop


def inferred(folder: Path, stored: Sequence[Stored]) -> dict[str, pd.DataFrame]:
    with new_store(folder) as store:
        store.add(((one, answer) for one, answer, _ in stored), [each for _, _, grades in stored for each in grades])
        return inferences(store)


def planted(question: str = "detect", beside: str = "unrelated", **changes: object) -> Iterator[Stored]:
    """Make trials of two loops with known effects; half of the concepts have more noise, none of it matters."""
    for place, (concept, noise) in enumerate(NOISE.items()):
        pairs = [*plain_pair(2 * place), *plain_pair(2 * place + 1)]
        asked = [({"question": question, "expected": None}, 10 * noise), *((fields, base) for fields, base in pairs)]
        for fields, base in asked:
            own = {**fields, "concept": concept}
            plain = own["expected"] is not None
            own |= {"question": beside} if plain else {}
            yield answered(trial(arm="none", **{**own, **changes}), base, detected=False)
            for loop in (0, 1):
                at = injection((loop, 0))
                for arm in ("injected", "random"):
                    effect = 0.0 if plain else (noticed(loop) + noise if arm == "injected" else RANDOM)
                    made = trial(arm=arm, injection=at, **{**own, **changes})
                    yield answered(made, base + SHIFT + SLOPE * base + effect, detected=arm == "injected")


def answered(one: Trial, difference: float, *, detected: bool | None, correct: bool | None = True) -> Stored:
    plain = one.expected is not None
    given = grade(one, None if plain else detected, correct=correct if plain else None)
    return one, response(one, difference=difference), [given]


def row(table: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        table = table[table[column].isna()] if value is None else table[table[column] == value]
    assert len(table) == 1, f"{len(table)} rows for {where}"
    return table.iloc[0]


def test_the_contrast_is_what_was_planted_and_not_what_raises_yes_on_any_question(tmp_path: Path) -> None:
    table = inferred(tmp_path, list(planted()))["contrasts"]
    for loop in (0, 1):
        found = row(table, effect="contrast", loop=loop)
        assert found["mean"] == pytest.approx(noticed(loop) - RANDOM)
        assert found["low"] < found["mean"] < found["high"]
        assert (found["n"], found["dropped"]) == (6, 0)
        assert found["p"] == pytest.approx(2 / 2**6)  # all signs of six concepts agree
        assert row(table, effect="random", loop=loop)["mean"] == pytest.approx(RANDOM)
    overall = row(table, effect="contrast", loop=None)
    assert overall["mean"] == pytest.approx(1.5 - RANDOM)
    assert set(table["template"]) == {"lindsey"}


def test_prior_is_held_against_its_own_plain_questions(tmp_path: Path) -> None:
    made = list(planted("prior", "prior-unrelated", protocol="prior"))
    assert row(inferred(tmp_path / "a", made)["contrasts"], effect="contrast", loop=1)["mean"] == pytest.approx(1.75)
    others = [each for each in made if each[0].question == "prior"]
    others += [each for each in planted("prior", "unrelated", protocol="prior") if each[0].question == "unrelated"]
    assert "contrasts" not in inferred(tmp_path / "b", others)


def test_each_wording_has_a_contrast_of_its_own(tmp_path: Path) -> None:
    other = {"template": "other", "template_hash": "t1"}
    weaker = [
        (one, replace(answer, readouts=tuple(replace(r, logit_yes=r.logit_yes / 2) for r in answer.readouts)), grades)
        for one, answer, grades in planted(**other)
        if one.question == "detect"
    ]
    table = inferred(tmp_path, [*planted(), *weaker])["contrasts"]
    overall = table[table["loop"].isna() & (table["effect"] == "contrast")]
    assert sorted(overall["template"]) == ["lindsey", "other"]
    assert row(overall, template="lindsey")["mean"] == pytest.approx(1.25)
    assert row(overall, template="other")["mean"] == pytest.approx(1.25 / 2)


@pytest.mark.parametrize("missing", [("none", "detect"), ("none", "unrelated"), ("injected", "unrelated")])
def test_without_an_arm_or_a_question_that_it_needs_there_is_no_contrast(
    tmp_path: Path, missing: tuple[str, str]
) -> None:
    made = [each for each in planted() if (each[0].arm, each[0].question) != missing]
    assert "contrasts" not in inferred(tmp_path, made)


def test_a_failed_trial_drops_its_concept_and_is_counted(tmp_path: Path) -> None:
    made = list(planted())
    lost = next(one for one, *_ in made if (one.arm, one.concept, one.question) == ("injected", "oak", "detect"))
    with new_store(tmp_path) as store:
        kept = [each for each in made if each[0] != lost]
        store.add(((one, answer) for one, answer, _ in kept), [each for _, _, grades in kept for each in grades])
        store.add_errors([(lost, "out of memory")])
        table = inferences(store)["contrasts"]
    loop = lost.injection.sites[0].loop if lost.injection else None
    assert (row(table, effect="contrast", loop=loop)[["n", "dropped"]] == [5, 1]).all()
    assert (row(table, effect="contrast", loop=1 - loop)[["n", "dropped"]] == [6, 0]).all()
    assert (row(table, effect="contrast", loop=None)[["n", "dropped"]] == [5, 1]).all()


def test_too_few_plain_questions_have_no_contrast_and_the_run_says_what_it_lacks(tmp_path: Path) -> None:
    made = [each for each in planted() if each[0].expected != "yes" or each[0].concept != "tin"]
    with new_store(tmp_path) as store:
        store.add(((one, answer) for one, answer, _ in made), [each for _, _, grades in made for each in grades])
        found = infer(narrow_trials(store), ["rules"])
    assert "contrasts" in found.made  # ten questions whose answer is yes are just enough
    with new_store(tmp_path / "fewer") as store:
        fewer = [each for each in made if each[0].expected != "yes" or each[0].concept != "sea"]
        store.add(((one, answer) for one, answer, _ in fewer), [each for _, _, grades in fewer for each in grades])
        found = infer(narrow_trials(store), ["rules"])
    for name in ("contrasts", "compression"):
        assert name not in found.made
        assert "10 different plain questions of each answer" in found.absent[name]
        assert "8 whose answer is yes and 12 whose answer is no" in found.absent[name]


def test_the_lines_of_plain_questions_are_those_that_were_planted(tmp_path: Path) -> None:
    table = inferred(tmp_path, list(planted()))["compression"]
    assert set(zip(table["arm"], table["measure"], strict=True)) == {
        (arm, measure) for arm in ("injected", "random") for measure in ("slope", "intercept", "entropy")
    }
    for measure, value in {"slope": SLOPE, "intercept": SHIFT, "entropy": 0.0}.items():
        assert table.loc[table["measure"] == measure, "mean"].to_numpy() == pytest.approx(value, abs=1e-9)
    assert len(table) == 2 * 3 * (1 + 2)  # arms, measures, the whole and two loops


def test_a_question_outside_of_what_plain_ones_span_is_noted(tmp_path: Path) -> None:
    far = [
        answered(one, answer.readouts[-1].logit_yes - 40 * (one.question == "detect"), detected=False)
        for one, answer, _ in planted()
    ]
    notes = set(inferred(tmp_path, far)["contrasts"]["note"])
    assert notes == {"extrapolated: clean logit -40.00, plain questions -10.00 to 10.00"}


def test_sensitivity_tells_what_is_apart_from_what_is_not(tmp_path: Path) -> None:
    first = list(planted())
    more = [(replace(one, concept=f"{one.concept}2"), answer, grades) for one, answer, grades in first]
    again = [
        (one, replace(answer, trial_id=one.id), [replace(each, trial_id=one.id) for each in grades])
        for one, answer, grades in more
    ]
    table = inferred(tmp_path, [*first, *again])["sensitivity"]
    assert set(table["control"]) == {"none", "random"}
    assert row(table, measure="auc", control="random", loop=1)["value"] > 0.55
    assert table[(table["measure"] == "auc") & (table["control"] == "none")].empty  # one number for all concepts
    d = row(table, measure="dprime", control="random", loop=0)
    # 12 of 12 against 0 of 12, log-linear: z(12.5/13) - z(0.5/13)
    assert d["value"] == pytest.approx(2 * NormalDist().inv_cdf(12.5 / 13))


def test_too_few_concepts_have_every_value_without_an_interval_and_a_note(tmp_path: Path) -> None:
    few = [each for each in planted() if each[0].concept in CONCEPTS[: MIN_CONCEPTS - 1]]
    made = inferred(tmp_path, few)
    sensitivity = made["sensitivity"]
    for table in (made["ranks"], sensitivity[sensitivity["measure"] == "auc"]):
        assert table["value"].notna().all()
        assert table[["low", "high"]].isna().all(axis=None)
        assert set(table["note"]) == {TOO_FEW}
    rest = sensitivity[sensitivity["measure"] != "auc"]
    assert rest[["value", "low", "high"]].isna().all(axis=None)
    assert set(rest["note"]) == {TOO_FEW_FOR_D}
    assert "contrasts" not in made  # eight plain questions of each answer are too few for a line


def choices(arm: str, named: Sequence[str | None], partner: Sequence[str] = CONCEPTS) -> Iterator[Stored]:
    for number, (concept, said) in enumerate(zip(CONCEPTS, named, strict=True)):
        words = tuple(CONCEPTS[(number + step) % 6] for step in range(4))
        own = {"question": "choose", "options": words, "expected": concept, "repeat": number}
        own |= {"partner": partner[number]} if arm == "wrong" else {}
        one = trial(arm=arm, concept=concept, protocol="choose", **own)
        yield one, response(one), [grade(one, None, answer=said, correct=None)]


def test_naming_is_held_against_chance_and_habit_and_in_the_wrong_arm_against_the_partner(tmp_path: Path) -> None:
    partner = (*CONCEPTS[1:], CONCEPTS[0])
    made = [
        *choices("injected", (*CONCEPTS[:5], None)),
        *choices("wrong", partner, partner),
        *choices("none", CONCEPTS[:3] + CONCEPTS[:3]),
    ]
    table = inferred(tmp_path, made)["naming"]
    injected, wrong = (row(table, arm=arm) for arm in ("injected", "wrong"))
    assert (injected["k"], injected["n"], injected["unknown"]) == (5, 5, 1)
    assert (wrong["k"], wrong["n"]) == (6, 6)
    assert injected["chance"] == 0.25
    assert injected["p_chance"] == pytest.approx(0.25**5)
    assert injected["habit"] == pytest.approx(3 / 5)  # three of the five that can be read were named anyhow
    assert wrong["habit"] == 0
    assert set(table["grader"]) == {"rules"}


def test_a_trial_that_does_not_offer_the_injected_word_is_left_out_and_counted(tmp_path: Path) -> None:
    partner = (*CONCEPTS[4:], *CONCEPTS[:4])  # the fourth word on, of four
    made = [*choices("wrong", CONCEPTS, partner), *choices("none", CONCEPTS)]
    (row,) = inferred(tmp_path, made)["naming"].to_dict("records")
    assert (row["k"], row["n"], row["note"]) == (0, 0, NO_VALUE)
    partner = (CONCEPTS[1], *CONCEPTS[5:], *CONCEPTS[:4])
    made = [*choices("wrong", CONCEPTS, partner), *choices("none", CONCEPTS)]
    (row,) = inferred(tmp_path / "more", made)["naming"].to_dict("records")
    assert (row["k"], row["n"], row["note"]) == (0, 1, "5 trials left out, which did not offer the injected word")


def test_the_ranks_of_an_arm_are_those_of_its_trials(tmp_path: Path) -> None:
    made = []
    for one, answer, grades in planted():
        rank = 0 if one.arm == "injected" and one.question == "detect" else 40
        reads = tuple(replace(read, concept_rank=rank) for read in answer.readouts)
        made.append((one, replace(answer, readouts=reads), grades))
    table = inferred(tmp_path, made)["ranks"]
    medians = {
        (arm, question): set(part["value"])
        for (arm, question), part in table[table["measure"] == "median_rank"].groupby(["arm", "question"])
    }
    assert medians["injected", "detect"] == {0.0}
    assert all(found == {40.0} for place, found in medians.items() if place != ("injected", "detect"))


def test_capability_is_that_of_plain_questions_without_injection_asked_once_for_each_number_of_loops(
    tmp_path: Path,
) -> None:
    made = []
    for n_loops, correct in ((1, False), (4, True)):
        for one, *_ in planted(n_loops=n_loops):
            for repeat in (0, 1):
                again = replace(one, repeat=repeat)
                made.append(answered(again, 1.0, detected=True, correct=correct if one.arm == "none" else not correct))
    table = inferred(tmp_path, made)["capability"]
    assert [(each.n_loops, each.questions, each.k, each.verdict) for each in table.itertuples()] == [
        (1, 24, 0, "cannot answer"),
        (4, 24, 24, "can answer"),
    ]


def test_graders_are_compared_where_both_gave_a_verdict(tmp_path: Path) -> None:
    made = []
    for number, (one, answer, grades) in enumerate(planted()):
        judged = grade(one, grader="judge", detected=number % 2 == 0 if one.question == "detect" else None)
        made.append((one, answer, [*grades, replace(judged, refused=None)]))
    table = inferred(tmp_path / "two", made)["agreement"]
    assert set(zip(table["first"], table["second"], strict=True)) == {("judge", "rules")}
    assert {"detected", "coherent"} <= set(table["measure"])
    assert not {"refused", "correct"} & set(table["measure"])
    assert row(table, measure="detected")["n"] == 30
    assert "agreement" not in inferred(tmp_path / "one", list(planted()))


def test_a_run_of_another_question_has_none_of_the_tables_of_noticing(tmp_path: Path) -> None:
    made = inferred(tmp_path, list(choices("injected", CONCEPTS)))
    assert not {"contrasts", "sensitivity", "timing", "capability", "agreement"} & set(made)
    assert {"naming", "ranks"} <= set(made)
