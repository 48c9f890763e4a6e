"""Two runs side by side: intervals that cover a known difference, contrasts as in their table, what is refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commanded import introspect, refused
from made import grade, injection, new_store, plain_pair, response, trial
from scipy import stats

import introspect as ix
from introspect.experiment.comparison import Comparison
from introspect.results.statistics.two_samples import TwoCounts, change_of_means, change_of_rates

WORDS = ("ash", "dust", "oak", "rye", "sea", "tin", "elm", "fog", "ice", "jam", "kit", "lid")
DRAWS = 300
WORLDS = [
    (concepts, trials, rates)
    for concepts in (6, 24)
    for trials in (1, 8)
    for rates in ((0.05, 0.05), (0.5, 0.5), (0.05, 0.5), (0.9, 0.98))
]
"""Concepts, trials of each, and the true rates of two runs; the first two pairs have no effect."""


def drawn(
    rng: np.random.Generator, concepts: int, trials: int, rates: Sequence[float], *, alike: bool
) -> list[TwoCounts]:
    """Draw two runs whose concepts differ widely in how easy they are: the same ones in both runs, or others."""
    places = rng.uniform(size=concepts)
    found = []
    for rate in rates:
        ease = stats.beta.ppf(places if alike else rng.uniform(size=concepts), 2 * rate, 2 * (1 - rate))
        found.append(TwoCounts(rng.binomial(trials, ease).astype(float), np.full(concepts, float(trials))))
    return found


@pytest.mark.slow_after(4)
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("concepts", "trials", "rates"), WORLDS)
def test_the_interval_covers_the_difference_of_rates(
    concepts: int, trials: int, rates: tuple[float, float], paired: bool
) -> None:
    rng, truth, covered = np.random.default_rng(1), rates[1] - rates[0], 0
    for _ in range(DRAWS):
        _, low, high = change_of_rates(*drawn(rng, concepts, trials, rates, alike=paired), paired=paired).difference
        covered += low <= truth <= high
    assert covered / DRAWS >= 0.9  # 0.95 less three standard errors of 300 draws and what few concepts cost


def test_pairing_narrows_the_interval_where_concepts_are_alike() -> None:
    rng = np.random.default_rng(2)
    runs = drawn(rng, 24, 8, (0.4, 0.5), alike=True)
    widths = [np.subtract(*change_of_rates(*runs, paired=paired).difference[:0:-1]) for paired in (True, False)]
    assert widths[0] < 0.7 * widths[1]


def test_rates_of_0_differ_by_an_interval_and_not_by_nothing() -> None:
    none = TwoCounts(np.zeros(12), np.full(12, 10.0))
    found = change_of_rates(none, none, paired=True)
    assert found.difference.value == 0
    assert found.difference.low == -found.difference.high == pytest.approx(-found.first.high)
    assert 0.15 < found.first.high < 0.35  # as of twelve trials, since all of a concept are one


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_the_interval_covers_the_difference_of_means(effect: float, paired: bool) -> None:
    rng, covered = np.random.default_rng(3), 0
    for _ in range(DRAWS):
        ease = rng.normal(size=8)
        first, second = (ease if paired else rng.normal(size=8)) + rng.normal(size=8), ease + rng.normal(size=8)
        _, low, high = change_of_means(first, second + effect, paired=paired).difference
        covered += low <= effect <= high
    assert 0.91 <= covered / DRAWS <= 0.985


def test_the_interval_of_means_of_other_concepts_is_that_of_welch() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=5), rng.normal(1, 3, size=9)
    expected = stats.ttest_ind(second, first, equal_var=False).confidence_interval()
    _, low, high = change_of_means(first, second, paired=False).difference
    assert (low, high) == pytest.approx((expected.low, expected.high))


def run_of(
    folder: Path,
    *,
    effect: float,
    detected: Callable[[int], bool | None] = lambda _: True,
    words: Sequence[str] = WORDS,
    grader: str = "rules",
    extract_loops: Sequence[int | None] = (None,),
    **changes: Any,
) -> Path:
    """Make a run of two loops, each with vectors of `extract_loops`: contrasts of `effect` and a concept's own part."""
    stored = []
    for place, word in enumerate(words):
        own = 0.1 * (place % 5 - 2)
        plain = [*plain_pair(2 * place), *plain_pair(2 * place + 1)]
        for fields, base in [({"question": "detect"}, -1.0), *plain]:
            for loop, extract in [(None, None), *product((0, 1), extract_loops)]:
                for arm in ("injected", "random") if loop is not None else ("none",):
                    at = None if loop is None else injection((loop, 0), extract_loop=extract)
                    one = trial(arm=arm, injection=at, concept=word, **{**fields, **changes})
                    noticed = own + effect if (arm, one.question) == ("injected", "detect") else 0.0
                    said = (detected(place) if arm == "injected" else False) if one.expected is None else None
                    made = replace(grade(one, said, correct=one.expected and True), grader=grader)
                    stored.append((one, response(one, difference=base + noticed), made))
    with new_store(folder, {"model": "m", "protocol": "detect"}) as store:
        store.add([(one, answer) for one, answer, _ in stored], [made for *_, made in stored])
    return folder


def overall(found: Comparison, measure: str, arm: str | None = None) -> pd.Series:
    rows = found.overall[found.overall["measure"] == measure]
    rows = rows if arm is None else rows[rows["arm"] == arm]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tmp_path_factory.mktemp("runs") / "before", effect=0.5, detected=lambda place: place < 3)


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "after"
    return run_of(folder, effect=2.0, detected=lambda place: None if place == 11 else place < 9)


@pytest.fixture(scope="module")
def compared(before: Path, after: Path) -> Comparison:
    return ix.compare(before, after)


def test_the_known_difference_comes_out_and_the_second_run_is_the_minuend(
    before: Path, after: Path, compared: Comparison
) -> None:
    contrast = overall(compared, "contrast")
    assert contrast["difference"] == pytest.approx(1.5)
    assert (contrast["low"], contrast["high"]) == pytest.approx((1.5, 1.5))  # each concept changed by the same
    assert (contrast["pairing"], contrast["a_concepts"], contrast["unit"]) == ("paired", 12, "logits")
    noticed = overall(compared, "detected", "injected")
    assert (noticed["a"], noticed["b"]) == pytest.approx((3 / 11, 9 / 11))  # of the concepts that both could grade
    assert (noticed["a_unknown"], noticed["b_unknown"], noticed["b_concepts"]) == (0, 0, 11)
    assert 0 < noticed["low"] < noticed["difference"] < noticed["high"]
    back = overall(ix.compare(after, before), "contrast")
    assert back["difference"] == pytest.approx(-1.5)


def test_each_value_is_that_of_contrasts_csv_in_every_cell(before: Path, after: Path, compared: Comparison) -> None:
    table = compared.table
    for side, folder in (("a", before), ("b", after)):
        with ix.Run.open(folder) as run:
            known = run.tables["contrasts"]
        for _, row in known[known["effect"] != "leaning"].iterrows():
            mine = table[(table["measure"] == row["effect"]) & (table["template"] == row["template"])]
            mine = mine[mine["loop"].isna() if pd.isna(row["loop"]) else mine["loop"] == row["loop"]]
            assert len(mine) == 1
            assert list(mine.iloc[0][[side, f"{side}_low", f"{side}_high"]]) == pytest.approx(
                [row["mean"], row["low"], row["high"]]
            )


def test_cells_that_lack_a_part_of_their_place_are_compared_as_well(tmp_path: Path) -> None:
    """Vectors of each site's own loop have no loop of extraction, those of loop 1 have."""
    folders = []
    for name in ("one", "two"):
        folders.append(run_of(tmp_path / name, effect=1.0, extract_loops=(None, 1)))
    table = ix.compare(*folders).table
    cells = table[(table["measure"] == "detected") & (table["arm"] == "injected") & table["loop"].notna()]
    places = cells[["loop", "extract_loop"]].astype("Int64").astype(object).where(lambda each: each.notna(), None)
    assert {*map(tuple, places.to_numpy())} == {(loop, extract) for loop in (0, 1) for extract in (None, 1)}
    assert set(cells["a_concepts"]) == {len(WORDS)}


def test_runs_of_other_concepts_are_unpaired_and_it_is_said(before: Path, tmp_path: Path) -> None:
    other = run_of(tmp_path / "other", effect=2.0, words=[f"{word}s" for word in WORDS])
    found = ix.compare(before, other)
    contrast = overall(found, "contrast")
    assert contrast["pairing"] == "unpaired"
    assert contrast["low"] < contrast["difference"] < contrast["high"]
    assert contrast["difference"] == pytest.approx(1.5)
    assert "unpaired, 12 against 12 concepts: larger in other" in found.sentences[0]


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    ("effect", "said"), [(2.0, "larger in after"), (-2.0, "smaller in after"), (0.5, "no difference shown")]
)
def test_the_sentence_has_the_direction(before: Path, tmp_path: Path, effect: float, said: str) -> None:
    other = run_of(tmp_path / "after", effect=effect, words=[*WORDS[6:], *(f"{word}s" for word in WORDS[:6])])
    (sentence,) = ix.compare(before, other).sentences
    assert sentence.endswith(f"logits, paired, over 6 shared concepts: {said}.")


def test_the_command_prints_writes_and_refuses(before: Path, after: Path, compared: Comparison, tmp_path: Path) -> None:
    code, out, err = introspect("compare", before, after, "--out", tmp_path / "change")
    assert (code, err) == (0, "")
    assert "difference +1.50 [+1.50, +1.50] logits, paired, over 12 shared concepts: larger in after." in out
    written = pd.read_csv(tmp_path / "change" / "tables" / "compare.csv")
    assert list(written.columns) == list(compared.table.columns)
    assert set(written.loc[written["loop"].notna(), "loop"]) == {0, 1}


def other_run(folder: Path, **changes: Any) -> Path:
    return run_of(folder, effect=1.0, words=WORDS[:6], **changes)


def test_what_cannot_be_compared_is_refused_in_one_line(before: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    new_store(empty, {"model": "m"}).close()
    file = tmp_path / "file"
    file.write_text("")
    cases = {
        "is the same run twice": (before, before.parent / "." / "before"),
        "no trials yet": (before, empty),
        "no run here": (before, tmp_path / "nowhere"),
        "has other words in each": (before, other_run(tmp_path / "words", template_hash="t9")),
        "no question in common": (before, other_run(tmp_path / "asked", template="another")),
        "unknown grader": (before, other_run(tmp_path / "judged", grader="judge")),
        "is no folder": (before, tmp_path / "words", "--out", file),
    }
    for said, arguments in cases.items():
        assert said in refused("compare", *arguments), said


def test_a_notebook_shows_it_escaped(compared: Comparison) -> None:
    found = replace(compared, names=("<b>", "a&b"))
    shown = found._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "a&amp;b minus" in shown
    assert "<b>" not in shown
    assert repr(found).startswith("Comparison(a&b minus <b>: ")
