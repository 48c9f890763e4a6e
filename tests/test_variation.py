"""A trial is changed in what it was asked to, and keeps its meaning: arm, words and right answer go together."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import injection, trial, trial_at

from introspect.errors import InputError
from introspect.experiment.variation import CHANGEABLE, changed
from introspect.injection.answers.sampling import random_words
from introspect.injection.plan.plan import trial_seed
from introspect.records.trial import ARMS, NOT_INJECTED, OF_ANOTHER, Injection, Site, Trial, to_json, trial_from_json

WHICH: dict[str, Any] = {"protocol": "which-loop", "question": "which-loop", "options": ("early", "late")}


def test_everything_that_may_change_can_be_changed() -> None:
    values = {"concept": "snow", "arm": "random", "n_loops": 5, "repeat": 1, "seed": 3, "loop": 1, "layer": 1}
    values |= {"sites": [(1, 1), (0, 0)], "strength": 9.0, "extract_loop": 0, "unit": "residual", "weights": (0.5,)}
    values |= {"temperature": 0.0, "top_p": 0.5, "max_new_tokens": 3, "decided_by": "rules 1", "exit": "gate"}
    values |= {"draws": "inverse-cdf"}
    others = {"partner": {"arm": "wrong", "partner": "snow"}, "states": {"arm": "swap", "states": "s1"}}
    alone = {name: value for name, value in values.items() if name in CHANGEABLE}
    assert set(CHANGEABLE) == {*alone, *others}
    ids = {changed(trial(), **{name: value}).id for name, value in alone.items()}
    ids |= {changed(trial(), **given).id for given in others.values()}
    assert len(ids - {trial().id}) == len(alone) + 2


def test_without_a_change_nothing_changes() -> None:
    for arm in ARMS:
        made = trial(arm=arm, partner="snow" if arm in OF_ANOTHER else None)
        made = changed(made) if arm == "text" else made
        made = changed(made, states="s1") if arm == "swap" else made
        assert changed(made) == made


def test_an_injection_moves_by_loop_layer_or_sites() -> None:
    moved = changed(trial_at(0, 1), loop=2).injection
    assert moved is not None
    assert moved.sites == (Site(2, 1),)
    several = trial(injection=injection((0, 0), (1, 0)))
    assert changed(several, loop=2, layer=1).injection == injection((2, 1))
    assert changed(several, sites=[Site(2, 0), (0, 1)]).injection == injection((0, 1), (2, 0))
    with pytest.raises(InputError, match="the injection has 2 sites; give sites, or both loop and layer"):
        changed(several, loop=2)


@pytest.mark.parametrize("arm", NOT_INJECTED)
def test_an_arm_without_injection_has_nothing_to_inject(arm: Any) -> None:
    with pytest.raises(InputError, match="has no injection to change; start from an injected trial"):
        changed(trial(arm=arm), arm="injected", strength=2.0)
    assert changed(trial(), arm=arm).injection is None
    with pytest.raises(InputError, match=f"strength: cannot change in the arm '{arm}', which has no injection"):
        changed(trial(), arm=arm, strength=2.0)


def test_the_text_arm_writes_the_concept_and_leaving_it_takes_that_out() -> None:
    written = changed(trial(), arm="text")
    assert written.variables == (("written", "dust"),)
    assert changed(written, concept="snow").variables == (("written", "snow"),)
    assert changed(written, arm="none") == trial(arm="none")


def test_the_swap_arm_and_no_other_says_which_states_it_draws_from() -> None:
    swap = changed(trial(), arm="swap", states="s1")
    assert swap.injection == injection(states="s1")
    assert changed(swap, strength=3.0).injection == injection(states="s1", strength=3.0)
    assert changed(swap, arm="injected") == trial()
    with pytest.raises(InputError, match="arm 'swap' needs states, the hash of those"):
        changed(trial(), arm="swap")
    with pytest.raises(InputError, match="arm 'random' has no states"):
        changed(trial(), arm="random", states="s1")


def test_the_wrong_arm_and_no_other_has_a_partner() -> None:
    wrong = changed(trial(), arm="wrong", partner="snow")
    assert (wrong.concept, wrong.partner, wrong.injection) == ("dust", "snow", trial().injection)
    assert changed(wrong, strength=3.0).partner == "snow"
    assert changed(wrong, arm="injected") == trial()
    with pytest.raises(InputError, match="arm 'wrong' needs partner"):
        changed(trial(), arm="wrong")
    with pytest.raises(InputError, match="arm 'random' has no partner"):
        changed(trial(), arm="random", partner="snow")


@pytest.mark.parametrize(
    "words",
    [{"options": ("dust", "sea")}, {"variables": (("said", "Dust"),)}, {"variables": (("a", "Think of dust."),)}],
)
def test_a_concept_that_the_question_names_cannot_be_another(words: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="concept: cannot change in the question 'detect', which names 'dust'"):
        changed(trial(**words), concept="snow")
    assert changed(trial(**words), concept="dust") == trial(**words)
    assert changed(trial(variables=(("number", "1"),)), concept="snow").concept == "snow"


def test_a_right_answer_that_hangs_on_the_loop_moves_with_it() -> None:
    early = trial(expected="early", **WHICH)
    assert changed(early, loop=3).expected == "late"
    assert changed(early, sites=[(0, 0), (3, 0)]).expected is None
    assert changed(early, arm="none").expected is None
    assert changed(trial(question="unrelated", protocol="detect", expected="yes"), loop=3).expected == "yes"


WHATEVER = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.just(10**400), st.just(object())),
    *(st.lists(each, max_size=3) for each in (st.integers(), st.tuples(st.integers(), st.integers()), st.text())),
    st.sampled_from(ARMS),
)


def outcome(made: Trial, changes: dict[str, Any]) -> Trial | str:
    try:
        return changed(made, **changes)
    except InputError as error:
        return str(error)


@given(st.dictionaries(st.sampled_from(CHANGEABLE), WHATEVER, max_size=3), st.sampled_from(("injected", "none")))
def test_any_change_gives_a_trial_or_one_line(changes: dict[str, Any], arm: Any) -> None:
    found = outcome(trial(arm=arm), changes)
    if isinstance(found, str):
        assert found
        assert "\n" not in found
    else:
        assert trial_from_json(to_json(found)) == found
        assert random_words([found.seed], 1).shape == (1, 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strength": "x"}, "strength \"'x'\": must be of type float or int, not str"),
        ({"strength": math.nan}, "strength nan: must be a finite number"),
        ({"layer": 1.5}, "layer '1.5': must be of type int, not float"),
        ({"temperature": None}, "temperature 'None': must be of type float or int, not NoneType"),
        ({"sites": [3]}, "sites '[3]': must be pairs of a loop and a layer"),
        ({"sites": []}, "an injection has at least one"),
        ({"seed": -1}, "seed -1: must be 0 or more"),
    ],
)
def test_a_value_that_makes_no_trial_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        changed(trial(), **changes)


def test_what_is_not_changed_is_kept() -> None:
    made = trial(
        seed=trial_seed(0, "dust", 1), variables=(("number", "3"),), injection=injection((1, 0), weights=(1.0,))
    )
    again = changed(made, strength=9.0)
    assert again.injection == Injection((Site(1, 0),), 9.0, "v0", weights=(1.0,))
    assert (again.seed, again.variables, again.expected) == (made.seed, made.variables, made.expected)
