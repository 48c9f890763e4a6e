"""How many concepts a question needs, from two rates and from a pilot."""

from pathlib import Path

import pandas as pd
import pytest
from commanded import introspect, refused
from graded import by_arm, grader, run, trials

from introspect.results.store.store import Store
from introspect.results.tables.rates.sample_size import Wanted, sizes, sizes_by_pilot
from introspect.results.tables.trials.narrow_trials import narrow_trials


def hashed(one: object, share: float) -> bool:
    """Say yes of about this share of the trials, the same ones always."""
    return int(one.id, 16) % 100 < 100 * share  # type: ignore[attr-defined]


def pilot(folder: Path, **shape: int) -> pd.DataFrame:
    """Read a pilot in which 60% of the injected trials and 10% of the others are detected."""
    verdict = grader("rules", lambda one: hashed(one, 0.6 if by_arm(one) else 0.1))
    with Store.open(run(folder, trials(**shape), verdict)) as store:
        return narrow_trials(store)


def test_repeats_save_concepts_and_alike_repeats_save_fewer() -> None:
    once, found = sizes(0.2, 0.05, Wanted()), sizes(0.2, 0.05, Wanted(repeats=4))
    assert list(found["icc"]) == [0, 0.1, 0.3]
    assert found["concepts"].is_monotonic_increasing
    assert found.loc[2, "concepts"] < once.loc[0, "concepts"] < 1.1 * found.loc[0, "trials"]
    assert (found["trials"] == 4 * found["concepts"]).all()
    assert (found["power"] >= 0.8).all()
    alike = sizes(0.2, 0.05, Wanted(repeats=4), [1.0]).loc[0, "concepts"]
    assert alike == pytest.approx(once.loc[0, "concepts"], rel=0.1)


def test_more_cells_need_more_and_no_question_fewer_than_an_interval_over_concepts() -> None:
    assert sizes(0.2, 0.05, Wanted(cells=20)).loc[0, "concepts"] > sizes(0.2, 0.05, Wanted()).loc[0, "concepts"]
    assert sizes(1, 0, Wanted()).loc[0, "concepts"] == 6


def test_a_pilot_gives_its_rates_and_the_near_ends_of_their_intervals(tmp_path: Path) -> None:
    found = sizes_by_pilot(pilot(tmp_path / "run", concepts=40), "rules", Wanted())
    observed, near = found.iloc[0], found.iloc[1]
    assert observed["about"] == "detect: detected, injected against none, as observed"
    assert observed["rate"] == pytest.approx(0.6, abs=0.1)
    assert near["rate"] < observed["rate"]
    assert near["control"] > observed["control"]
    assert near["concepts"] > observed["concepts"]
    assert len(found) == 2 * 2 * 2  # detected and identified, none and random


def test_a_pilot_in_which_intervals_overlap_has_no_number_at_their_near_ends(tmp_path: Path) -> None:
    found = sizes_by_pilot(pilot(tmp_path / "run", concepts=3, loops=1), "rules", Wanted())
    assert found["concepts"].isna().any()
    code, out, err = introspect("power", "--pilot", tmp_path / "run")
    assert (code, err) == (0, "")
    assert "no number" in out


def test_the_correlation_of_repeats_is_the_pilots_own(tmp_path: Path) -> None:
    always = grader("rules", lambda one: by_arm(one) and int(one.concept.removeprefix("concept")) % 2 == 0)
    with Store.open(run(tmp_path / "run", trials(repeats=3), always)) as store:
        frame = narrow_trials(store)
    found = sizes_by_pilot(frame, "rules", Wanted(repeats=3))
    assert found.loc[0, "icc"] == pytest.approx(1)
    assert sizes_by_pilot(frame, "rules", Wanted(repeats=3), [0.2]).loc[0, "icc"] == 0.2


def test_a_pilot_without_repeats_does_not_tell_how_alike_they_are(tmp_path: Path) -> None:
    pilot(tmp_path / "run")
    said = refused("power", "--pilot", tmp_path / "run", "--repeats", 2)
    assert "give --icc, such as 0.1,0.3" in said
    assert introspect("power", "--pilot", tmp_path / "run", "--repeats", 2, "--icc", "0.1")[0] == 0


def test_the_command_prints_a_small_table() -> None:
    code, out, err = introspect("power", "--rates", "0.2,0.05", "--repeats", 4, "--cells", 12, "--icc", "0.1")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[:2]] == [
        ["rate", "control", "icc", "concepts", "repeats", "trials", "power"],
        ["0.2", "0.05", "0.10", "47", "4", "188", "0.81"],
    ]
    assert "alpha 0.05, divided by 12 cells, two-sided" in out
    assert "test: sign flips over concepts" in out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "give either --rates 0.2,0.05 or --pilot RUN"),
        (["--rates", "0.2,0.1", "--pilot", "x"], "give either --rates 0.2,0.05 or --pilot RUN"),
        (["--rates", "0.2"], "rates: '0.2' are not two different rates; write them like 0.2,0.05"),
        (["--rates", "0.2,0.2"], "rates: '0.2,0.2' are not two different rates"),
        (["--rates", "a,b"], "rates: 'a' is not a number"),
        (["--rates", "0.2,1.4"], "control rate 1.4: must lie between 0 and 1"),
        (["--rates", "0.2,0.1", "--repeats", "0"], "repeats 0: must be at least 1"),
        (["--rates", "0.2,0.1", "--power", "1"], "power 1.0: must lie between 0 and 1"),
        (["--rates", "0.2,0.1", "--alpha", "0"], "alpha 0.0: must lie between 0 and 1"),
        (["--rates", "0.2,0.1", "--cells", "0"], "0 cells: must be at least 1"),
        (["--rates", "0.2,0.1", "--repeats", "2", "--icc", "2"], "intra-class correlation 2.0: must lie between"),
        (["--pilot", "nowhere"], "nowhere: no run here"),
    ],
)
def test_a_question_that_cannot_be_planned_is_refused(asked: list[str], said: str) -> None:
    assert said in refused("power", *asked)


def test_a_pilot_without_verdicts_or_controls_is_refused(tmp_path: Path) -> None:
    lone = [one for one in trials() if by_arm(one)]
    assert "no verdict of the arm injected beside one of none, random or wrong" in refused(
        "power", "--pilot", run(tmp_path / "run", lone, grader("rules", by_arm))
    )
    assert "unknown grader of" in refused("power", "--pilot", tmp_path / "run", "--grader", "judge")
