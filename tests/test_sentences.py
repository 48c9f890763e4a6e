"""The sentences of the summary and of the analyses, word for word: every sign, direction and missing part."""

from pathlib import Path

import pandas as pd
import pytest

from introspect.analyses.dynamics.fixed_points import Settled
from introspect.analyses.dynamics.sentences import dynamics_sentences as said_of_dynamics
from introspect.analyses.monitor.sentences import said_of_sample, said_of_task
from introspect.analyses.trajectory.sentences import _remembered, trajectory_sentences
from introspect.cli import summary
from introspect.experiment.sweep import Swept
from introspect.injection.prefix.work import Work

NAN = float("nan")


def settled(half: float, turned: float, lowest: float) -> Settled:
    """Measure five recurrences of one layer: at half of them, at the last, and against the other layers."""
    layers = {"loop": [0, 2, 4], "layer": 0, "distance_cosine": [0.1, half, 1.0], "change_cosine": [NAN, 0.5, turned]}
    distinct = {"layer": ["lowest"], "n": 7, "cosine": lowest, "cosine_low": lowest - 0.1, "cosine_high": NAN}
    return Settled(
        pd.DataFrame(layers),
        pd.DataFrame({**distinct, "cosine_high": [lowest + 0.1]}),
        pd.DataFrame({"class": ["settled", "wandering"], "k": [30, 2], "n": 32, "recurrences": 5}),
    )


ATTENTION = pd.DataFrame(
    {"layer": 0, "layer_other": 0, "loop": [0, 1, 2], "loop_other": [1, 2, 3], "distance": [0.5, 0.2, 0.1]}
)


@pytest.mark.parametrize(
    ("measured", "begin"),
    [
        ((1.0, 1.0, 0.1), "The loops settle in 5 loops: half-way the layer farthest from its end is 0 away"),
        ((1.0, 1.0, 1.0), "The loops settle, all layers in one place in 5 loops: half-way the layer"),
        ((0.2, 1.0, 0.1), "The loops do not settle in 5 loops: half-way the layer farthest from its end is 0.8 away"),
        ((1.0, 0.0, 0.1), "The loops do not settle in 5 loops: half-way the layer farthest from its end is 0 away"),
    ],
)
def test_whether_the_loops_settle_is_said_by_the_verdict(measured: tuple[float, ...], begin: str) -> None:
    first, distinct, tokens, attention = said_of_dynamics(settled(*measured), {"attention": ATTENTION})
    assert first.startswith(begin)
    assert first.endswith(f"the last loop turns it by {'1.6' if not measured[1] else '0'} radians (n = 7 texts).")
    low, value, high = (f"{measured[2] + by:.3g}" for by in (-0.1, 0.0, 0.1))
    assert (
        distinct == f"The lowest cosine between the first layer's last state and another's is {value} [{low}, {high}]."
    )
    assert tokens == "Paths of 32 tokens, seen from where 5 recurrences end: 30 settled, 2 wandering."
    assert attention == (
        "The attention matrices of a layer change by 0.5 from the first loop to the second, 0.1 between the last two "
        "of 4 (Frobenius)."
    )


def test_what_becomes_of_an_injection_is_said_with_its_direction_and_its_fate() -> None:
    arm = {"arm": "injected", "factor": 0.5, "factor_low": 0.4, "factor_high": 0.6, "n": 6, "trials": 12, "returned": 9}
    left = {
        "arm": "injected",
        "n_loops": 4,
        "at_layer": 1,
        "loop": [0, 2, 3],
        "at_loop": 3,
        "projection": [0.1, -0.2, 9],
    }
    fates = {"arm": ["injected"] * 3 + ["random"], "fate": ["noticed", "noticed", "washed out", "noticed"]}
    tables = {"attention": ATTENTION.iloc[:0], "arms": [arm], "left": left, "fates": fates}
    frames = {name: pd.DataFrame(table) for name, table in tables.items()}
    *_, attention, moved, share, counts = said_of_dynamics(settled(1, 1, 0), frames)
    assert attention == "Attention was measured in one loop only."
    assert moved == (
        "After an injection (concept vector) the distance to the path without one changes by a factor of 0.5 "
        "[0.4, 0.6] per loop (n = 6 concepts); 9 of 12 trials end within 5% of it."
    )
    assert share == (
        "At the end of the loops as run, the share of the vector that is left is 0.10 (loop 0), -0.20 (loop 2), by the "
        "loop it went in."
    )
    assert counts == (
        "Of 3 sites and strengths the concept's thought was: 2 noticed, 0 unnoticed, 0 transformed, 1 washed out."
    )


@pytest.mark.parametrize(("sign", "less"), [(1.0, "+10%"), (-1.0, "-10%")])
def test_a_path_is_said_to_be_longer_or_shorter_than_the_control_s(sign: float, less: str) -> None:
    row = {"metric": "unembedding", "sites": "1:0", "strength": 2.0, "arm": "injected", "n": 6, "control": 10.0}
    row |= {"mean": sign, "low": sign - 0.5, "high": sign + 0.5}
    row |= {"profile_r": 0.9, "profile_r_low": 0.8, "profile_r_high": 0.95}
    totals = pd.DataFrame([{**row, "quantity": quantity} for quantity in ("salience", "curvature", "area")])
    reading = {"lens": "logit", "sites": "1:0", "strength": 2.0, "arm": "injected", "concept": ["a", "b"]}
    readings = pd.DataFrame({**reading, "readable_from": ["1:1", None], "lost_from": ["never", None]})
    memory = {"share": [1.0, 1.0], "rate": [0.5, 0.25], "low": [0.4, 0.2], "high": [0.6, 0.3], "sites": ["0:0", "1:0"]}
    memory |= {"site": ["0:1", "1:1"], "n": [6, 6], "shuffled": [0.1, 0.2], "chance": [0.125, 0.125]}
    tables = {"totals": totals, "readings": readings, "memory": pd.DataFrame(memory)}
    long, bent, _, alike, read, kept = trajectory_sentences(tables, 2.0)
    bounds = "[+5%, +15%]" if sign > 0 else "[-15%, -5%]"
    assert long == (
        "Injected at 1:0 (loop:layer), strength 2, the length of the last token's path differs from the control's by "
        f"{less} {bounds} under the concept vector (n = 6 concepts)."
    )
    assert "the mean curvature of" in bent
    assert "correlate over sites: r = 0.90 [0.80, 0.95] (unembedding metric); n = 6 concepts." in alike
    assert read == (
        "Through the logit lens, injected at 1:0 with strength 2, the concept comes within rank 10 where the control's "
        "does not for 1 of 2 concepts, first at 1:1 (most often), 1 of them to the end, under the concept vector."
    )
    assert kept == (
        "From the span's keys and values behind the injection a probe names the concept in 25% [20%, 30%] (injected at "
        "1:0, read at 1:1) to 50% [40%, 60%] (at 0:0, read at 0:1) of held-out trials, n = 6 concepts; shuffled names "
        "give 15.0%, chance is 12.5%."
    )


def test_nothing_kept_is_said_so() -> None:
    nothing = pd.DataFrame({"share": [0.0], "rate": [0.5]})
    assert _remembered(nothing) == (
        "Nothing of any injection reaches keys or values of its span: every site read lies before it."
    )


def test_the_monitors_are_said_at_the_loops_as_trained_and_where_they_part_most() -> None:
    share = {"low": NAN, "high": NAN, "n": 40, "unknown": 4}
    at = {"language": 0.6, "representation": 0.9, "task": 0.7, "shuffled": 0.5, "constant": 0.55}
    at |= {"language-words": 0.65, "task-words": NAN, "language-fitted": 0.75}
    curves = [
        {"loops": loops, "measure": "accuracy", "monitor": monitor, "value": value - (loops == 1) * 0.1, **share}
        for loops in (1, 4)
        for monitor, value in at.items()
    ]
    for row in curves:
        row["high"] = 0.58 if row["monitor"] == "shuffled" else NAN
    gap = {"measure": "accuracy", "loops": [1, 4], "value": [0.3, 0.1], "low": [0.2, 0], "high": [0.4, 0.2]}
    first, words, widest = said_of_task(
        "two-hop", pd.DataFrame(curves), pd.DataFrame({**gap, "n": 40, "questions": 20}), trained=5
    )
    assert first == (
        "two-hop, 4 loops run: the model judges 60.0% of 40 given answers rightly, with a threshold that is fitted "
        "75.0%, a probe of its states 90.0% (of labels dealt out anew on average 50.0%, at most 58.0%; always the same "
        "55.0%); it answers 70.0% of 40 questions rightly itself."
    )
    assert words == (
        "two-hop, by its most probable next word, which may be neither yes nor no nor an answer: 4 of 44 judgements "
        "are unknown, 65.0% of the others right; 4 of 44 answers are unknown, an unknown share of the others right."
    )
    assert widest == (
        "two-hop: what the probe reads is furthest ahead of what the model says, its threshold fitted, at loops run = "
        "1, by 30.0 points of accuracy [20.0, 40.0] (n = 40 answers, 95% interval over 20 questions or groups of them, "
        "none for the choice)."
    )


def test_a_sample_is_called_one() -> None:
    assert said_of_sample({"a": (3, 9), "b": (5, 5)}, full=False) == [
        "This is a sample, of 3 of 9 questions of a; --full runs everything."
    ]
    assert said_of_sample({}, full=False) == ["This is a sample; --full runs everything."]
    assert said_of_sample({"a": (3, 9)}, full=True) == []


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the summary prints."""
    found: list[str] = []
    monkeypatch.setattr(summary.OUT, "print", lambda *said, **_: found.append(" ".join(map(str, said))))
    return found


def swept(folder: Path, **tables: pd.DataFrame) -> Swept:
    (folder / "tables").mkdir()
    for name, table in tables.items():
        table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    return Swept(folder, 5, 0, Work(), [], [], {}, None)


@pytest.mark.parametrize(
    ("moved", "leaning", "said"),
    [
        (1.0, 0.5, "+1.00 [+0.50, +1.50] logits, {} over all cells; yes is ahead, by 0.50 logits on average"),
        (-1.0, -0.5, "-1.00 [-1.50, -0.50] logits, {} over all cells; no is ahead, by 0.50 logits on average"),
        (1.0, -0.5, "+1.00 [+0.50, +1.50] logits, {} over all cells; no is ahead, by 0.50 logits on average"),
    ],
)
def test_the_summary_says_the_contrast_with_its_sign_and_who_is_ahead(
    moved: float, leaning: float, said: str, tmp_path: Path, lines: list[str]
) -> None:
    row = {"strength": NAN, "template": "lindsey", "low": moved - 0.5, "high": moved + 0.5, "p": 0.03125, "n": 6}
    table = pd.DataFrame([{**row, "effect": "contrast", "mean": moved}, {**row, "effect": "leaning", "mean": leaning}])
    summary.print_swept(swept(tmp_path, contrasts=table))
    between = (
        "p = 0.0312, 6 concepts: yes against no, noticing beyond the line of plain questions, concept against random "
        "direction,"
    )
    assert f"contrast (lindsey): {said.format(between)}" in lines


def test_the_summary_says_who_cannot_answer_and_what_failed(tmp_path: Path, lines: list[str]) -> None:
    row = {
        "grader": "rules",
        "n_loops": 4,
        "answers": "yes or no",
        "k": 5,
        "n": 9,
        "unknown": 11,
        "questions": 20,
        "mass": 0.44,
        "verdict": "cannot answer",
        "echo": 0.6,
    }
    made = swept(tmp_path, capability=pd.DataFrame([row]))
    summary.print_swept(Swept(**{**vars(made), "failed": 2, "unended": "3 of 5 answers end inside their thinking"}))
    assert "echo (4 loops): 60% of the answers with nothing injected repeat their prompt" in lines
    assert (
        "cannot answer yes or no (rules, 4 loops): 5 of 20 answers right with nothing injected, probability of the "
        "answers 0.44; no rate of such questions is a finding"
    ) in lines
    assert f"5 trials in {tmp_path}, 2 failed: see column error of trials.csv" in lines
    assert "3 of 5 answers end inside their thinking" in lines
