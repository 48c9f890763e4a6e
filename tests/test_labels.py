"""The sheet for labels is even over cells, blind, safe in a spreadsheet, and comes back as it was given."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commanded import introspect, refused
from graded import TEXT, by_arm, fill_in, grader, rows, run, trials, write

from introspect.errors import InputError
from introspect.results.statistics.strata import even_quotas, even_sample, sampling_weights
from introspect.results.store.store import Store
from introspect.results.tables.trials.human_labels import with_labels
from introspect.results.tables.trials.label_sheet import LABELS, answered_trials, as_text, from_text, write_sheet

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    " =1",
    "'quoted'",
    "\uff1d1",
    "plain",
    "",
    "a=b",
    "\tplain",
    "\nplain",
    '"=1"',
    "\n\n-x",
]


def sheet(folder: Path, out: Path, n: int = 100, seed: int = 0) -> list[dict[str, str]]:
    with Store.open(folder) as store:
        write_sheet(store, out, n=n, seed=seed)
    return rows(out)


def labels_of(folder: Path, path: Path) -> pd.DataFrame:
    with Store.open(folder) as store:
        return with_labels(answered_trials(store), path, folder).set_index("trial")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return run(tmp_path / "run", trials(), grader("rules", by_arm))


def test_every_cell_gives_as_many_answers_as_every_other(made: Path, tmp_path: Path) -> None:
    with Store.open(made) as store:
        cells = answered_trials(store).set_index("trial")["cell"]
    drawn = Counter(cells[row["trial"].removeprefix("trial-")] for row in sheet(made, tmp_path / "sheet.csv", n=30))
    assert len(drawn) == 7
    assert set(drawn.values()) == {4, 5}


def test_quotas_are_as_even_as_the_strata_allow() -> None:
    rng = np.random.default_rng(0)
    assert list(even_quotas(np.array([2, 10, 50]), 32, rng)) == [2, 10, 20]
    assert list(even_quotas(np.array([3, 3]), 99, rng)) == [3, 3]
    assert sorted(even_quotas(np.array([9, 9, 9]), 4, rng)) == [1, 1, 2]


def test_with_fewer_labels_than_cells_the_arms_stay_even() -> None:
    frame = pd.DataFrame(
        {"arm": ["injected"] * 40 + ["none"] * 9, "question": "detect", "cell": [*range(40), *[99] * 9]}
    )
    drawn = even_sample(frame, 12, seed=3)
    assert Counter(drawn["arm"]) == {"injected": 6, "none": 6}
    assert drawn.loc[drawn["arm"] == "injected", "cell"].is_unique


def test_a_weight_is_the_number_of_trials_that_a_label_stands_for() -> None:
    cells = pd.DataFrame({"arm": "a", "question": "detect", "cell": [1] * 6 + [2] * 30 + [3] * 4})
    assert list(sampling_weights(cells, cells.iloc[[0, 1, 6, 36]])) == [3, 3, 30, 4]
    # nobody was drawn from cell 3: the others of its arm stand for it
    assert sampling_weights(cells, cells.iloc[[0, 6]]).sum() == pytest.approx(40)


def test_a_weighted_mean_of_an_even_sample_is_that_of_the_run() -> None:
    frame = pd.DataFrame({"arm": ["a"] * 20 + ["b"] * 180, "question": "detect", "cell": [1] * 20 + [2] * 180})
    frame["yes"] = np.where(frame["arm"] == "a", 1.0, np.arange(200) % 10 == 0)
    found = []
    for seed in range(60):
        sample = even_sample(frame, 60, seed=seed)
        found.append((np.average(sample["yes"], weights=sampling_weights(frame, sample)), sample["yes"].mean()))
    weighted, plain = np.mean(found, axis=0)
    assert weighted == pytest.approx(frame["yes"].mean(), abs=0.02)
    assert plain > 1.9 * frame["yes"].mean()


def test_nothing_in_the_sheet_tells_the_arm(tmp_path: Path) -> None:
    one = trials(concepts=1, loops=1)
    texts = [*one, replace(next(t for t in one if t.arm == "none"), arm="text")]
    found = sheet(run(tmp_path / "run", texts, grader("rules", by_arm)), tmp_path / "sheet.csv")
    assert len(found) == 4
    assert len({tuple(value for name, value in row.items() if name != "trial") for row in found}) == 1
    assert "<<" not in found[0]["prompt"]
    assert found[0]["prompt"] == "[user]\nHere it is: ant. Well?"


def test_the_order_hangs_on_the_seed_and_on_nothing_else(made: Path, tmp_path: Path) -> None:
    shuffled = trials()[::-1]
    other = run(tmp_path / "other", shuffled, grader("rules", by_arm))
    first, again = (sheet(folder, tmp_path / f"{folder.name}.csv", n=20) for folder in (made, other))
    assert first == again
    assert sheet(made, tmp_path / "seed1.csv", n=20, seed=1) != first
    assert [row["trial"] for row in first] != sorted(row["trial"] for row in first)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_begins_a_formula_and_every_text_comes_back(text: str, tmp_path: Path) -> None:
    assert not as_text(text).lstrip().startswith(("=", "+", "-", "@", "\t", "＝"))  # noqa: RUF001
    assert not as_text(text).startswith(("\t", "\r", "\n"))
    assert from_text(as_text(text)) == text
    folder = run(tmp_path / "run", trials(concepts=1, loops=1), grader("rules", by_arm), text=text)
    assert {from_text(row["text"]) for row in sheet(folder, tmp_path / "sheet.csv")} == {text}


def test_an_id_can_not_be_read_as_a_number(made: Path, tmp_path: Path) -> None:
    assert all(row["trial"].startswith("trial-") for row in sheet(made, tmp_path / "sheet.csv"))


def test_each_question_asks_for_what_makes_sense(tmp_path: Path) -> None:
    choose = trials(concepts=1, loops=1, question="choose", options=("dust", "-x"), expected="dust")
    repeat = trials(concepts=1, loops=1, question="repeat", options=("A line.",), expected="A line.")
    detect = trials(concepts=1, loops=1)
    folder = run(tmp_path / "run", [*choose, *repeat, *detect], grader("rules", by_arm))
    asked = {(row["to_fill_in"], row["options"]) for row in sheet(folder, tmp_path / "sheet.csv")}
    assert asked == {
        ("answer, coherent, refused", "dust | -x"),
        ("answer, coherent, refused", "yes | no"),
        ("detected, identified, coherent, refused", ""),
    }


def test_labels_come_back_as_verdicts_whatever_a_spreadsheet_makes_of_the_file(made: Path, tmp_path: Path) -> None:
    sheet(made, tmp_path / "sheet.csv", n=14)
    said = {"detected": "Yes", "identified": " no ", "coherent": "YES"}
    filled = fill_in(tmp_path / "sheet.csv", tmp_path / "filled.csv", made, lambda _: said)
    given = rows(filled)
    for form in ({}, {"delimiter": ";"}, {"delimiter": "\t", "quoting": csv.QUOTE_ALL}, {"lineterminator": "\n"}):
        found = labels_of(made, write(tmp_path / "again.csv", given, **form))
        labelled = found[found["labelled"]]
        assert len(labelled) == 14
        assert labelled["human_detected"].all()
        assert not labelled["human_identified"].any()
        assert labelled["human_refused"].isna().all()
        assert found.loc[~found["labelled"], "human_detected"].isna().all()


def test_an_answer_is_one_of_the_options_and_right_if_it_is_the_expected_one(tmp_path: Path) -> None:
    asked = trials(concepts=3, loops=1, question="choose", options=("Dust", "-x"), expected="Dust")
    asked += trials(concepts=3, loops=1, question="repeat", options=("A line.",), expected="A line.")
    folder = run(tmp_path / "run", asked, grader("rules", by_arm))
    sheet(folder, tmp_path / "sheet.csv")
    says = {("choose", "none"): "'-X", ("choose", "injected"): "dust", ("repeat", "none"): "no"}
    filled = fill_in(
        tmp_path / "sheet.csv",
        tmp_path / "f.csv",
        folder,
        lambda one: {"answer": says.get((one.question, one.arm), "")},
    )
    found = labels_of(folder, filled).groupby(["question", "arm"]).first()
    assert found["human_answer"].dropna().to_dict() == {("choose", "injected"): "Dust", ("choose", "none"): "-x"}
    assert found["human_correct"].dropna().to_dict() == {
        ("choose", "injected"): True,
        ("choose", "none"): False,
        ("repeat", "none"): False,
    }


def test_the_command_says_what_to_do_next_and_never_overwrites(made: Path) -> None:
    code, out, err = introspect("label", made, "--n", 10)
    assert (code, err) == (0, "")
    assert "10 answers to label" in out
    assert f"introspect agree {made} --labels {made / 'labels.csv'}" in out
    before = (made / "labels.csv").read_bytes()
    assert before.startswith(b"\xef\xbb\xbf")
    assert "labels.csv: exists already, perhaps with labels; choose another --out" in refused("label", made)
    assert (made / "labels.csv").read_bytes() == before


def test_what_cannot_be_labelled_is_refused(made: Path, tmp_path: Path) -> None:
    assert "n 0: must be at least 1" in refused("label", made, "--n", 0)
    assert "cannot be written" in refused("label", made, "--out", tmp_path / "nowhere" / "sheet.csv")
    silent = run(tmp_path / "silent", trials(concepts=1, protocol="control", question="control-think"))
    assert "holds no answer that could be labelled" in refused("label", silent)
    assert "no run here" in refused("label", tmp_path / "none")


def spoilt(made: Path, tmp_path: Path, change: str) -> Path:
    """Fill a sheet of one-line texts in, and spoil it."""
    found = sheet(made, tmp_path / "sheet.csv", n=5)
    for row in found:
        row |= {"prompt": "asked", "detected": "yes"}
    if change == "another run":
        found = [{**row, "trial": f"trial-{number}"} for number, row in enumerate(found)]
    elif change == "unknown id":
        found[2]["trial"] = "trial-0000"
    elif change == "twice":
        found[3]["trial"] = found[1]["trial"]
    elif change == "value":
        found[4]["detected"] = "maybe"
    elif change == "answer":
        found[0]["answer"] = "yes"
    elif change == "missing":
        found = [{name: value for name, value in row.items() if name != "refused"} for row in found]
    elif change == "empty":
        found = [{**row, **dict.fromkeys(LABELS, "")} for row in found]
    return write(tmp_path / "spoilt.csv", found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("another run", "none of its trials has an answer in"),
        ("unknown id", "line 4: no trial '0000' with an answer in"),
        ("twice", "line 5: trial .* is there already, in line 3"),
        ("value", "line 6: detected is 'maybe'; write yes, no or nothing"),
        ("answer", "line 2: answer is 'yes', but question 'detect' asks for detected, identified, coherent, refused"),
        ("missing", "column 'refused' is missing; a sheet has trial, detected"),
        ("empty", "holds no label; fill in yes or no in detected"),
    ],
)
def test_labels_that_cannot_be_used_are_refused_with_their_line(
    change: str, said: str, made: Path, tmp_path: Path
) -> None:
    path = spoilt(made, tmp_path, change)
    with pytest.raises(InputError, match=said):
        labels_of(made, path)
    assert refused("agree", made, "--labels", path).startswith(f"introspect: {path}")
    assert not (made / "tables" / "agreement.csv").exists()


def test_a_row_behind_texts_of_several_lines_is_named_as_a_spreadsheet_counts_too(made: Path, tmp_path: Path) -> None:
    found = sheet(made, tmp_path / "sheet.csv", n=3)
    found[2]["coherent"] = "x"
    with pytest.raises(InputError, match=r"line 6 \(row 4 of a spreadsheet\): coherent is 'x'"):
        labels_of(made, write(tmp_path / "s.csv", found))


@pytest.mark.parametrize("content", [b"", b"trial\n", b"PK\x03\x04\xff\xfe", b'trial,"\n', b"\xef\xbb\xbf"])
def test_a_file_that_is_no_sheet_is_refused(content: bytes, made: Path, tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_bytes(content)
    assert str(tmp_path / "sheet.csv") in refused("agree", made, "--labels", tmp_path / "sheet.csv")
    assert "cannot be read" in refused("agree", made, "--labels", tmp_path / "nowhere.csv")


def test_the_answers_are_shown_whole(made: Path, tmp_path: Path) -> None:
    assert {row["text"] for row in sheet(made, tmp_path / "sheet.csv", n=3)} == {TEXT}
