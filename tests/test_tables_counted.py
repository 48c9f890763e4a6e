"""The tables and their files hold what is in the records: counted again from these, in whatever order they came."""

import random
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import grade, injection, new_store, response, trial

from introspect.records.response import Grade, Response
from introspect.records.trial import ARMS, NOT_INJECTED, Sampling, Trial
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import make_tables, readouts_table, trials_table, write_tables


def test_files_hold_the_tables_and_text_of_any_kind(tmp_path: Path) -> None:
    texts = ['Yes, "dust".\nReally', "=1+1", "NA", "a\rb\r\nc", "comma, tab\t", " \u2028é\U0001f600 "]
    trials = [trial(repeat=repeat) for repeat in range(len(texts))]
    with new_store(tmp_path) as store:
        store.add([(one, response(one, text)) for one, text in zip(trials, texts, strict=True)], map(grade, trials))
        paths = write_tables(store)
    assert [path.name for path in paths][:4] == ["trials.csv", "rates.csv", "loops.csv", "readouts.csv"]
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == sorted(path.name for path in paths)
    read = pd.read_csv(paths[0], keep_default_na=False, na_values=[""])
    assert list(read.sort_values("repeat")["text"]) == texts
    assert pd.read_csv(paths[1])["rate"].notna().all()


def mixed(draws: random.Random, count: int) -> list[tuple[Trial, Response | str, list[Grade]]]:
    """Make trials of many cells, some failed, some ungraded, some graded twice."""
    made = []
    for number in range(count):
        sites = draws.choice([[(0, 0)], [(1, 2)], [(10, 2)], [(0, 0), (1, 2)]])
        arm, question = draws.choice(ARMS), draws.choice(["detect", "detect", "unrelated"])
        asked = None if arm in NOT_INJECTED else injection(*sites, strength=draws.choice([0.5, 2.0]))
        what = {"concept": draws.choice(["dust", "Zinc", "\xe9t\xe9", "\U0001f600"]), "question": question}
        what |= {"expected": draws.choice(["yes", "no"])} if question == "unrelated" else {}
        what |= {"partner": "salt"} if arm == "wrong" else {}
        sampling = Sampling(temperature=draws.choice([0.0, 1.0]))
        one = trial(arm=arm, injection=asked, repeat=number % 5, seed=number, sampling=sampling, **what)
        said = [draws.choice([True, False, None]) for _ in range(4)]
        graders = draws.choice([[], ["rules"], ["judge", "rules"]])
        answered = {"answer": draws.choice(["yes", None]), "correct": draws.choice([True, False, None])}
        written = draws.choice(["", 'a "b"'])
        grades = [Grade(one.id, grader, "1", *said, written, **answered) for grader in graders]
        answer = response(one, draws.choice(["", "NA", "a\rb\n,"]), difference=draws.gauss(0, 1))
        made.append((one, answer, grades) if draws.random() < 0.9 else (one, "failed", []))
    return made


def stored(folder: Path, made: list[tuple[Trial, Response | str, list[Grade]]], size: int) -> Store:
    """Make a run of them in batches of a size."""
    store = new_store(folder)
    for start in range(0, len(made), size):
        batch = made[start : start + size]
        done = [(one, answer) for one, answer, _ in batch if not isinstance(answer, str)]
        store.add(done, [grade for _, _, grades in batch for grade in grades])
        store.add_errors((one, answer) for one, answer, _ in batch if isinstance(answer, str))
    return store


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("seed", range(3))
def test_no_byte_of_a_table_depends_on_the_order_of_storing(tmp_path: Path, seed: int) -> None:
    made = mixed(random.Random(seed), 150)
    written = []
    for name, size in (("a", 7), ("b", 100)):
        with stored(tmp_path / name, made, size) as store:
            written.append([path.read_bytes() for path in write_tables(store)])
        random.Random(seed).shuffle(made)
    assert written[0] == written[1]


def test_no_digit_of_a_mean_readout_depends_on_the_order_of_storing(tmp_path: Path) -> None:
    """Of a large number, its negative and a small one, whose sum is the small one or 0, as they come."""
    made = [(one := trial(repeat=n), response(one, difference=x), []) for n, x in enumerate((1.0, 1e20, -1e20))]
    means = set()
    for name, order in enumerate(permutations(made)):
        with stored(tmp_path / str(name), list(order), 3) as store:
            means.update(readouts_table(store)["mean"])
    assert len(means) == 1


def test_the_rates_are_those_counted_from_the_records(tmp_path: Path) -> None:
    made = mixed(random.Random(4), 250)
    with stored(tmp_path, made, 64) as store:
        table = make_tables(store)["rates"]
    for grader, measure in (("rules", "detected"), ("judge", "refused"), ("rules", "both"), ("judge", "correct")):
        counted = pd.DataFrame(records_counted(made, grader, measure))
        columns = ["arm", "sites", "strength", "question", "temperature"]
        expected = counted.groupby(columns, dropna=False).sum().reset_index()
        found = table[(table["grader"] == grader) & (table["measure"] == measure)].merge(
            expected, on=columns, how="outer"
        )
        assert len(found) == len(expected)
        for column in ("k", "n", "unknown", "errors"):
            assert list(found[f"{column}_x"]) == list(found[f"{column}_y"])


def records_counted(made: list, grader: str, measure: str) -> Iterator[dict[str, object]]:
    """Say of every trial in which cell it is, and as what it counts."""
    for one, answer, grades in made:
        if (one.question == "unrelated") != (measure == "correct"):
            continue
        verdicts = next((grade for grade in grades if grade.grader == grader), None)
        said = None if verdicts is None else verdict(verdicts, measure)
        failed = isinstance(answer, str)
        sites = ",".join(map(str, one.injection.sites)) if one.injection else None
        yield {
            **{"arm": one.arm, "sites": sites, "strength": one.injection.strength if one.injection else None},
            **{
                "temperature": one.sampling.temperature,
                "question": one.question,
                "k": said is True,
                "n": said is not None,
            },
            **{"unknown": said is None and not failed, "errors": failed},
        }


def verdict(of: Grade, measure: str) -> bool | None:
    if measure != "both":
        return getattr(of, measure)
    both = {of.detected, of.identified}
    return False if False in both else None if None in both else True


def test_the_readouts_are_means_over_concepts_counted_from_the_records(tmp_path: Path) -> None:
    made = mixed(random.Random(5), 400)
    with stored(tmp_path, made, 64) as store:
        table = readouts_table(store)
    rows = [
        (one.sampling.temperature, one.injection.sites, one.concept, answer.readouts[3].logit_yes)
        for one, answer, _ in made
        if isinstance(answer, Response) and one.arm == "random" and one.injection.strength == 2.0
        if one.question == "detect"
    ]
    frame = pd.DataFrame(rows, columns=["temperature", "sites", "concept", "value"])
    frame = frame[[len(sites) == 1 and sites[0].loop == 10 for sites in frame["sites"]]]
    expected = frame.groupby(["temperature", "concept"])["value"].mean().groupby("temperature").mean()
    found = table[(table["arm"] == "random") & (table["strength"] == 2.0) & (table["loop"] == 10)]
    found = found[(found["readout_loop"] == 3) & (found["question"] == "detect")].set_index("temperature")["mean"]
    np.testing.assert_allclose(found.sort_index(), expected.sort_index(), rtol=1e-12)


def test_the_file_of_trials_is_the_frame_of_trials(tmp_path: Path) -> None:
    with stored(tmp_path, mixed(random.Random(6), 300), 50) as store:
        trials, *_ = write_tables(store)
        assert trials.read_bytes().decode() == trials_table(store).to_csv(index=False, lineterminator="\n")
