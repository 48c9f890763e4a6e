"""Records travel through JSON unchanged, and a trial's id changes with everything that determines its response."""

import json
import math
from dataclasses import FrozenInstanceError, asdict, fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as some
from made import injection, response, trial

from introspect.records.canonical_json import OWN, cell_to_json
from introspect.records.response import Measure, Readout, Response, response_from_json
from introspect.records.trial import (
    ARMS,
    STRENGTH_UNITS,
    Draws,
    Injection,
    Sampling,
    Site,
    Trial,
    cell_from_json,
    to_json,
    trial_from_json,
)

CHANGED: dict[str, Any] = {
    "model": "other",
    "weights_hash": "other",
    "dtype": "bfloat16",
    "protocol": "other",
    "template": "other",
    "template_hash": "other",
    "concept": "snow",
    "arm": "random",
    "injection": injection((0, 1)),
    "n_loops": 5,
    "repeat": 1,
    "seed": 8,
    "sampling": Sampling(temperature=0.5),
    "question": "unrelated",
    "variables": (("number", "2"),),
    "options": ("dust", "snow"),
    "expected": "yes",
    "partner": "snow",
    "date": "2026-11-28",
}
CHANGED_INJECTION: dict[str, Any] = {
    "sites": (Site(1, 1),),
    "strength": 2.5,
    "vectors_hash": "v1",
    "extract_loop": 0,
    "unit": "residual",
    "weights": (1.0, 0.5),
    "aligned": True,
    "reference": "text",
    "states": "s1",
}
CHANGED_SAMPLING: dict[str, Any] = {
    **{"temperature": 0.5, "top_p": 0.9, "max_new_tokens": 41, "decided_by": "rules 1", "exit": "gate"},
    "draws": "inverse-cdf",
}
BEFORE = Sampling(draws="inverse-cdf")
"""How trials were drawn whose ids are the oldest."""
SPREAD = injection((0, 1), (3, 2), extract_loop=2, strength=-0.1, unit="residual", weights=(1.0, 0.5))
CHOICE: dict[str, Any] = {
    "question": "choose",
    "variables": (("number", "1"), ("options", "dust\nsnow")),
    "options": ("dust", "snow"),
}

FLOATS = some.floats(allow_nan=False, allow_infinity=False)
SITES = some.builds(Site, some.integers(0), some.integers(0))
INJECTIONS = some.builds(
    Injection,
    sites=some.lists(SITES, min_size=1, max_size=4).map(tuple),
    strength=FLOATS | some.integers(),
    vectors_hash=some.text(),
    extract_loop=some.none() | some.integers(0),
    unit=some.sampled_from(STRENGTH_UNITS),
    weights=some.lists(FLOATS, max_size=2).map(tuple),
    aligned=some.booleans(),
    reference=some.none() | some.text(max_size=3),
    states=some.none() | some.text(max_size=3),
)
TRIALS = some.builds(
    Trial,
    arm=some.sampled_from(ARMS),
    injection=some.none() | INJECTIONS,
    sampling=some.builds(
        Sampling,
        *(FLOATS | some.integers(), FLOATS, some.integers(), some.none() | some.text()),
        draws=some.sampled_from(get_args(Draws)),
    ),
    question=some.text(),
    variables=some.dictionaries(some.text(), some.text(), max_size=3).map(lambda given: tuple(sorted(given.items()))),
    options=some.lists(some.text(), max_size=3).map(tuple),
    expected=some.none() | some.text(),
    partner=some.none() | some.text(),
    date=some.none() | some.text(),
)
RESPONSES = some.builds(
    Response,
    token_ids=some.lists(some.integers(0)).map(tuple),
    readouts=some.lists(
        some.builds(
            Readout,
            *(some.integers(0), FLOATS, FLOATS, FLOATS, FLOATS),
            options=some.lists(FLOATS, max_size=2).map(tuple),
            concept_rank=some.none() | some.integers(0),
        ),
        max_size=3,
    ).map(tuple),
    vector_norm=FLOATS,
    residual_norm=some.none() | FLOATS,
    measures=some.lists(some.builds(Measure, value=FLOATS), max_size=2).map(tuple),
)


def canonical(fields: object) -> str:
    """Write JSON as ids were defined."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def test_the_id_changes_with_every_field_of_a_trial() -> None:
    assert set(CHANGED) == {field.name for field in fields(Trial)}
    ids = [replace(trial(), **{name: value}).id for name, value in CHANGED.items()]
    assert len({trial().id, *ids}) == len(CHANGED) + 1


def test_the_id_changes_with_every_field_of_its_injection_and_sampling() -> None:
    assert set(CHANGED_INJECTION) == {field.name for field in fields(Injection)}
    assert set(CHANGED_SAMPLING) == {field.name for field in fields(Sampling)}
    varied = [trial(injection=replace(injection(), **{name: value})) for name, value in CHANGED_INJECTION.items()]
    varied += [trial(sampling=replace(Sampling(), **{name: value})) for name, value in CHANGED_SAMPLING.items()]
    assert len({trial().id, *(one.id for one in varied)}) == len(varied) + 1


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (trial(sampling=BEFORE), "fab40f4b08a12270"),
        (trial(sampling=BEFORE, arm="none", seed=2**64 - 1), "9039d4f713e7ecb5"),
        (trial(sampling=BEFORE, concept='a "b"\u2028\U0001f600\x00', injection=SPREAD), "bc203d7883f6c8b0"),
        (
            trial(
                injection=injection(strength=1e22),
                sampling=replace(BEFORE, temperature=0.0, top_p=0.9, max_new_tokens=1),
            ),
            "c2591b65f217b658",
        ),
        (trial(sampling=BEFORE, arm="wrong", expected="dust", partner="snow", **CHOICE), "acebd2d8d9da82e2"),
        (trial(), "248b61e76052d6be"),
    ],
)
def test_the_id_of_a_trial_never_changes_between_versions(made: Trial, expected: str) -> None:
    assert made.id == expected


@given(TRIALS)
def test_the_json_of_a_trial_is_that_of_its_fields(made: Trial) -> None:
    assert to_json(made) == canonical(written_fields(made))
    assert trial_from_json(to_json(made)) == made


def written_fields(made: Trial) -> dict[str, Any]:
    """Return fields of a trial; what came late (date, exit, draws, aligned, reference, states) is left out if old."""
    values = asdict(made)
    if values["date"] is None:
        del values["date"]
    if values["sampling"]["exit"] == "last":
        del values["sampling"]["exit"]
    if values["sampling"]["draws"] == "inverse-cdf":
        del values["sampling"]["draws"]
    if values["injection"] is not None and not values["injection"]["aligned"]:
        del values["injection"]["aligned"]
    for name in ("reference", "states"):
        if values["injection"] is not None and values["injection"][name] is None:
            del values["injection"][name]
    return values


@given(TRIALS)
def test_a_cell_is_a_trial_without_what_is_its_own(made: Trial) -> None:
    written = cell_to_json(made)
    assert written == canonical({name: value for name, value in written_fields(made).items() if name not in OWN})
    again = Trial(**cell_from_json(written), **{name: getattr(made, name) for name in OWN})
    assert to_json(again) == to_json(made)


@given(RESPONSES)
def test_the_json_of_a_response_is_that_of_its_fields(made: Response) -> None:
    assert to_json(made) == canonical(asdict(made))
    assert response_from_json(to_json(made)) == made


def test_equal_trials_have_equal_ids_of_sixteen_hex_digits() -> None:
    assert trial().id == trial().id
    assert len(trial().id) == 16
    assert int(trial().id, 16) >= 0


def test_a_response_comes_back_from_json_as_it_was() -> None:
    answer = replace(response(trial(), "Yes\n\x00"), readouts=(Readout(0, 0.1, -1e-300, 1.0, 5e-324),))
    assert response_from_json(to_json(answer)) == answer


def test_json_has_one_form_and_no_nan() -> None:
    written = to_json(Sampling())
    assert written == json.dumps(json.loads(written), sort_keys=True, separators=(",", ":"))
    with pytest.raises(ValueError, match="JSON"):
        to_json(Sampling(temperature=math.nan))


def test_sites_sort_in_running_order_and_read_loop_then_layer() -> None:
    sites = [Site(1, 0), Site(0, 2), Site(0, 1), Site(1, 1)]
    assert [str(site) for site in sorted(sites)] == ["0:1", "0:2", "1:0", "1:1"]


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        trial().seed = 3  # type: ignore[misc]


def test_the_relative_norm_is_unknown_where_nothing_was_injected() -> None:
    assert response(trial()).relative_norm == 0.25
    assert response(trial(arm="none")).relative_norm is None
    assert response(trial(arm="text")).relative_norm is None
