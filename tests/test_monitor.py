"""The monitors on a shipped organism, alone and through the command, and how injected trials are split."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from commanded import introspect, refused
from print_size import written_widths
from swept import run_without_figures

from introspect.analyses.analysis import Analysed, analyses_of
from introspect.analyses.kept_units import Keeping, keeping
from introspect.analyses.monitor import curves as of_curves
from introspect.analyses.monitor import probing, who_notices
from introspect.analyses.monitor.ask import States, item_prompts, judge_items, solve
from introspect.analyses.monitor.cost import fits_of_injected, fits_of_task, monitor_cost
from introspect.analyses.monitor.curves import curves
from introspect.analyses.monitor.injected import Seen, _named, injected_trials, see
from introspect.analyses.monitor.items import items_of
from introspect.analyses.monitor.loss import loss, pieces_of
from introspect.analyses.monitor.monitor import MonitorSettings
from introspect.analyses.monitor.probes import CrossFit, cross_fit
from introspect.analyses.monitor.probing import Probing
from introspect.analyses.monitor.refits import REFITS
from introspect.analyses.monitor.sentences import said_of_injected
from introspect.analyses.monitor.tasks import Item, generated
from introspect.analyses.monitor.who_notices import NoticingCell, notice
from introspect.analyses.subject import Subject, open_subject
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.injection.answers.answer_tokens import AnswerTokens, read
from introspect.records.trial import Site
from introspect.results.figures.layout import WIDTHS

WORDS = "snow,bread,river,sheep,lion,wolf"
OPTIONS = Options(
    **{"questions": "detect", "arms": "injected,none,random", "trial_numbers": "1-2", "repeats": 2, "concepts": WORDS},
    **{"layers": "1", "loops": "1", "strengths": "2", "max_new_tokens": 12},
)
SITES = [Site(0, 1), Site(1, 3)]


@pytest.fixture(scope="module")
def subject() -> Subject:
    return open_subject(OPTIONS)


@pytest.fixture(scope="module")
def keep() -> Iterator[Keeping]:
    with keeping() as kept:
        yield kept


@pytest.fixture
def fresh() -> Iterator[Keeping]:
    with keeping() as kept:
        yield kept


@pytest.fixture(scope="module")
def seen(subject: Subject, keep: Keeping) -> Seen:
    return see(subject, [1, 3], size=64, keep=keep)


def test_a_judgement_is_the_same_alone_and_among_prompts_of_other_lengths(subject: Subject, keep: Keeping) -> None:
    items = [generated(name, 0)[n] for name in ("arithmetic", "two-hop", "judgement") for n in (0, 1, 9)]
    together = judge_items(subject.tap, items, {2: SITES}, size=64, keep=keep)[2]
    for row in (0, 4, 8):
        alone = judge_items(subject.tap, [items[row]], {2: SITES}, size=1, keep=keep)[2]
        assert alone.difference[0] == pytest.approx(together.difference[row], abs=1e-3)
        for site in SITES:
            np.testing.assert_allclose(alone.states.at(site)[0], together.states.at(site)[row], atol=1e-3)


def test_a_judgement_reads_yes_and_no_as_a_trial_does(subject: Subject, keep: Keeping) -> None:
    (trial, *_), items = subject.trials(["none"]), generated("arithmetic", 0)[:1]
    (ids,) = item_prompts(subject.tap.looped.tokenizer, "verify", items)
    logits = subject.tap.run({}, n_loops=3, input_ids=torch.tensor([ids]), use_cache=False).logits[:, -1]
    (readout,) = read(logits, AnswerTokens(subject.tap.looped.tokenizer), 0, [trial])
    judged = judge_items(subject.tap, items, {3: []}, size=1, keep=keep)[3]
    assert judged.difference[0] == pytest.approx(readout.logit_yes - readout.logit_no, abs=1e-3)


def test_loops_are_run_each_for_itself(subject: Subject, keep: Keeping) -> None:
    items = generated("arithmetic", 0)[:4]
    found = judge_items(subject.tap, items, {total: [Site(0, 3)] for total in (1, 4, 8)}, size=4, keep=keep)
    assert len({tuple(judged.difference.round(6)) for judged in found.values()}) == 3
    np.testing.assert_allclose(found[1].states.at(Site(0, 3)), found[8].states.at(Site(0, 3)), atol=1e-4)


def test_a_question_is_answered_by_the_first_token_of_its_answer(subject: Subject, keep: Keeping) -> None:
    question, looped = "Say the word bread.", subject.tap.looped
    (ids,) = item_prompts(looped.tokenizer, "solve", [Item(question, "", True, "")])
    logits = subject.tap.run({}, n_loops=4, input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
    said, other = looped.decode([int(logits.argmax())]).strip(), "snow"
    cases = [(said, [other], 1, 1), (other, [said], 0, 0), (said, [said], np.nan, 1), (other, ["sheep"], None, np.nan)]
    for answer, others, chosen, words in cases:
        found = solve(subject.tap, [Item(question, answer, True, "")], others, [4], size=1, keep=keep)[4]
        np.testing.assert_equal(found.words[0], words)
        if chosen is not None:
            np.testing.assert_equal(found.chosen[0], chosen)


def test_every_rate_has_its_n_and_interval(subject: Subject, keep: Keeping) -> None:
    items = generated("arithmetic", 0)[:60]
    found = curves(subject.tap, items, [1, 2], [1, 3], kind="means", seed=0, size=64, keep=keep)
    probed = found.curves[found.curves["monitor"].isin(["representation", "shuffled", "task", "task-words"])]
    assert (probed["value"].isna() == (probed["n"] == 0)).all()
    probed = probed[probed["n"] > 0]
    assert ((probed["low"] <= probed["value"] + 1e-9) & (probed["value"] <= probed["high"] + 1e-9)).all()
    assert set(found.curves["n"] + found.curves["unknown"]) == {60, 30}
    assert (found.curves["unknown"] > 0).sum() <= (found.curves["monitor"].str.endswith("words")).sum()
    assert len(found.sites) == 2 * 2 * 2 * 2
    scores = found.curves.set_index(["monitor", "loops", "measure"])["value"]
    less = scores["representation"] - scores["language-fitted"]
    gaps = found.gap.set_index(["loops", "measure"])["value"]
    assert gaps.to_dict() == pytest.approx(less.to_dict()), "the gap is of the same splits as what it lies between"
    same = found.transfer[found.transfer["trained_loop"] == found.transfer["tested_loop"]]
    own = found.sites[(found.sites["labels"] == "true") & (found.sites["measure"] == "accuracy")]
    assert same.sort_values(["layer", "tested_loop"])["value"].tolist() == (
        own.sort_values(["layer", "loop"])["value"].tolist()
    )


def test_a_planted_verdict_is_read_from_states_and_a_shuffled_one_is_not() -> None:
    items = generated("arithmetic", 0)
    fitting, rng = Probing.of(items, "means", 0), np.random.default_rng(0)
    states = rng.normal(size=(len(items), 16)) + 4 * np.outer(fitting.labels, np.eye(16)[3])
    assert fitting.scoring.accuracy(fitting.fit(states).said.astype(float)).value > 0.95
    right = [np.mean(fitting.control(states, dealt).said == dealt) for dealt in map(fitting.dealt, range(5))]
    assert np.mean(right) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(5 * len(items)))


def test_the_dry_run_counts_what_is_run(subject: Subject, keep: Keeping, tmp_path: Path) -> None:
    path = tmp_path / "sums.csv"
    rows = [f"What is {n} + 1?,{n + 1 + off},{'no' if off else 'yes'}" for n in range(12) for off in (0, 1)]
    path.write_text("\n".join(["question,answer,correct", *rows]), encoding="utf-8")
    options = Options(n_loops="1-2", layers="1", concepts=WORDS)
    estimated = monitor_cost(options, MonitorSettings(tasks=str(path), part="all"))
    before = subject.tap.work
    curves(subject.tap, items_of(str(path)), [1, 2], [1], kind="means", seed=0, size=1, keep=keep)
    loss(subject, pieces_of(subject, None), [1, 2], size=4, seed=0, keep=keep)
    assert sum(blocks for *_, blocks in estimated.rows) == subject.tap.work - before


def test_the_dry_run_counts_the_fits(subject: Subject, seen: Seen, fresh: Keeping) -> None:
    items, fits, told = generated("arithmetic", 0)[:60], [], []
    fresh.report = lambda *said: told.append(said[:2])

    def counted(*given: Any) -> CrossFit:
        fits.append(1)
        return cross_fit(*given)

    with pytest.MonkeyPatch.context() as patched:
        for module in (probing, who_notices):
            patched.setattr(module, "cross_fit", counted)
        curves(subject.tap, items, [1, 2], [1, 3], kind="means", seed=0, size=64, keep=fresh)
        assert len(fits) == fits_of_task(2, [1, 2])
        assert told[-1] == (6, 6), "all units that were announced"
        notice(seen, kind="means", seed=0, keep=fresh)
    loops = [int(loop) for loop in seen.trials["loop"].dropna().unique()]
    assert len(fits) == fits_of_task(2, [1, 2]) + fits_of_injected(2, len(seen.loops), loops)


def test_units_of_another_number_of_splits_are_measured_anew(subject: Subject, seen: Seen, fresh: Keeping) -> None:
    items, used = generated("arithmetic", 0)[:20], []
    for splits in (1, REFITS):
        with pytest.MonkeyPatch.context() as patched:
            for module in (probing, who_notices, of_curves):
                patched.setattr(module, "REFITS", splits)
            fresh._used.clear()
            curves(subject.tap, items, [1], [3], kind="means", seed=0, size=64, keep=fresh)
            notice(seen, kind="means", seed=0, keep=fresh)
        used.append(set(fresh._used))
    states = 2  # of judgements and of answers, which no split decides
    assert len(used[0] & used[1]) == states
    assert len(used[0]) == len(used[1]) == states + 3 + 1


def test_states_of_batches_come_back_in_the_order_of_their_rows(keep: Keeping) -> None:
    keep.begin("parts", 2)
    given = np.arange(16, dtype=np.float32).reshape(2, 2, 4)  # (site, row, d_model)
    parts = [(rows, keep.unit(lambda n=n: {"states": given + 100 * n}, part=n)) for n, rows in enumerate([[2, 0], [1]])]
    parts[1] = ([1], keep.unit(lambda: {"states": given[:, :1] + 100}, part="one"))
    states = States({Site(0, 0): 0, Site(0, 1): 1}, parts)
    assert states.at(Site(0, 1)).tolist() == [[12, 13, 14, 15], [108, 109, 110, 111], [8, 9, 10, 11]]


def test_no_concept_and_no_wording_is_on_both_sides(seen: Seen) -> None:
    cell = NoticingCell.of(seen.trials, 1, 0)
    clean = cell.rows["arm"] == "none"
    for column, chosen in (("concept", ~clean), ("wording", clean)):
        folds = pd.DataFrame(cell.places[:, chosen].T).groupby(cell.rows[column][chosen].to_numpy()).nunique()
        assert (folds == 1).all(axis=None), column
    assert clean.sum() == 2, "each wording counts once"


def test_trials_of_one_wording_leave_clean_rows_out(seen: Seen) -> None:
    one = seen.trials[seen.trials["wording"] == seen.trials["wording"].iloc[0]].reset_index(drop=True)
    assert "none" not in set(NoticingCell.of(one, 1, 0).rows["arm"])


def test_what_no_probe_could_be_fitted_for_is_said(seen: Seen, fresh: Keeping) -> None:
    one = replace(seen, trials=seen.trials.assign(wording=seen.trials["wording"].iloc[0]))
    detection, naming = said_of_injected(notice(one, kind="means", seed=0, keep=fresh).monitors)
    assert "by a probe of its states an unknown share; by a probe of shuffled labels none, which takes two" in naming
    assert "unknown" not in detection
    assert "nan" not in naming


def test_aware_says_in_words_and_logits_what_a_probe_finds(seen: Seen, fresh: Keeping) -> None:
    found = notice(seen, kind="means", seed=0, keep=fresh).monitors.set_index(["by", "measure"])["value"]
    assert found["words", "detection"] > 0.8
    assert found["logits", "detection"] > 0.8
    assert found["probe", "naming"] > 0.9
    assert found["shuffled", "naming"] < 0.6
    assert found["words", "false alarms, none"] == 0


def test_a_probe_names_what_blind_does_not_notice(fresh: Keeping) -> None:
    blind = open_subject(Options(**{**OPTIONS.__dict__, "model": "organism:blind"}))
    found = notice(see(blind, [3], size=64, keep=fresh), kind="means", seed=0, keep=fresh).monitors.set_index(
        ["by", "measure"]
    )["value"]
    assert found["words", "hits"] == 0
    assert found["words", "detection"] == 0.5
    assert found["probe", "naming"] > 0.9


def test_too_few_concepts_and_missing_controls_are_refused() -> None:
    few = Options(**{**OPTIONS.__dict__, "concepts": "snow,bread"})
    with pytest.raises(InputError, match="2 concepts; to split them, at least 5 are needed"):
        injected_trials(open_subject(few))
    bare = Options(**{**OPTIONS.__dict__, "arms": "injected,none"})
    with pytest.raises(InputError, match="no trials of arm 'random'"):
        injected_trials(open_subject(bare))


def test_the_command_writes_tables_figures_and_sentences(tmp_path: Path) -> None:
    out = tmp_path / "found"
    asked = ["--task", "arithmetic", "--questions", "all", "--n-loops", "1,2", "--layers", "3", "--probe", "means"]
    code, said, err = introspect("monitor", "organism:aware", *asked, "--width", "one", "--out", out)
    assert (code, err) == (0, "")
    assert "2 loops run: the model judges" in said
    analysis = Analysed.open(out)
    assert set(analysis.said["tables"]) == {"loss", "curves", "gap", "sites", "transfer"}
    assert set(analysis.said["figures"]) == {"loss", "monitors", "gap", "probes", "transfer"}
    assert set(analysis.said["figures"]) == {path.stem for path in (out / "figures").glob("*.png")}
    assert written_widths(out) == {WIDTHS["one"]}
    assert set(analysis.table("curves")["loops"]) == {1, 2}


@pytest.mark.slow
def test_the_command_goes_into_a_run_and_takes_its_words(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_without_figures(Options(**{**OPTIONS.__dict__, "out": run, "arms": "injected,random,none"}))
    code, said, err = introspect("monitor", "--run", run, "--layers", "1,3", "--probe", "means")
    assert (code, err) == (0, "")
    assert "injected concepts are told from random directions" in said
    (analysis,) = analyses_of(run)
    table = analysis.table("injected")
    trials = pd.read_csv(run / "tables" / "trials.csv")
    hits = trials[trials["arm"] == "injected"]["rules_detected"].mean()
    assert table[(table["by"] == "words") & (table["measure"] == "hits")]["value"].item() == pytest.approx(hits)


def test_the_dry_run_stores_nothing(tmp_path: Path) -> None:
    code, said, _ = introspect("monitor", "--task", "judgement", "--dry-run", "--out", tmp_path / "none")
    assert code == 0
    assert "judgement, judged" in said
    assert "texts foretold" in said
    assert "MB until it is done" in said
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--probe", "forest"], "unknown probe 'forest'; known: logistic, means"),
        (["--questions", "some"], "unknown part of the questions 'some'; known: held-out, all"),
        (["--layers", "9"], "layers: '9' is out of range"),
        (["--n-loops", "0"], "n_loops: '0' must be at least 1"),
        (["--seed", "-1"], "seed -1: a split needs 0 or more"),
        (["--task", ","], "task: the list is empty"),
        (["--run", "no/such/run"], "no/such/run"),
        (["--texts", "no.txt"], "there is no file 'no.txt'"),
    ],
)
def test_options_that_cannot_be_used_are_refused(given: list[str], words: str) -> None:
    assert words in refused("monitor", *given)


def test_a_concept_that_begins_as_another_does_cannot_be_told_to_be_named(subject: Subject) -> None:
    trials = subject.trials(["injected"])[:3]
    first, logits = subject.engine.answers.first, torch.zeros(len(trials), len(subject.tap.looped.tokenizer))
    for row, trial in enumerate(trials):
        logits[row, list(first(trial.concept))] = 9.0
    assert _named(subject, logits, trials) == [1.0] * len(trials)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(subject.engine.answers), "first", lambda *_: first(trials[0].concept))
        assert np.isnan(_named(subject, logits, trials)).all()
