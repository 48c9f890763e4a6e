"""What the trials of a cell share is written once; everything that is not their own tells cells apart."""

import json
import math
from dataclasses import fields, replace

import pytest
from made import injection, trial
from test_records import CHANGED, CHANGED_INJECTION, CHANGED_SAMPLING

from introspect.records.canonical_json import OWN, cell_to_json, encode_json, trial_to_json
from introspect.records.response import Measure
from introspect.records.trial import Injection, Sampling, Trial


@pytest.mark.parametrize("name", [field.name for field in fields(Trial)])
def test_two_trials_are_of_one_cell_exactly_if_they_differ_in_their_own_fields_alone(name: str) -> None:
    changed = replace(trial(), **{name: CHANGED[name]})
    assert (cell_to_json(changed) == cell_to_json(trial())) is (name in OWN)


def test_every_field_of_injection_and_sampling_makes_another_cell() -> None:
    cells = [trial(injection=replace(injection(), **{name: value})) for name, value in CHANGED_INJECTION.items()]
    cells += [trial(sampling=replace(Sampling(), **{name: value})) for name, value in CHANGED_SAMPLING.items()]
    assert len({cell_to_json(each) for each in (trial(), *cells)}) == len(cells) + 1


def test_a_trial_that_is_changed_is_written_anew() -> None:
    made = trial()
    assert made.injection is not None
    assert made.injection.json == encode_json(made.injection)
    stronger = replace(made, injection=replace(made.injection, strength=9.0), sampling=Sampling(0.25))
    assert json.loads(trial_to_json(stronger))["injection"]["strength"] == 9.0
    assert json.loads(trial_to_json(stronger))["sampling"]["temperature"] == 0.25


def test_any_record_is_written_with_sorted_keys_and_no_spaces() -> None:
    assert encode_json(Measure("cosine", 0, 1, 0.5)) == '{"layer":1,"loop":0,"name":"cosine","value":0.5}'


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_json(Injection((), bad, "v"))
