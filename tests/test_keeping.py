"""An analysis that was stopped goes on where it was, gives what an undisturbed one gives, and never takes another's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commanded import introspect

from introspect.analyses.analysis import Analysis
from introspect.analyses.dynamics.dynamics import Settings, analysed, open_dynamics
from introspect.analyses.kept_units import KEPT_FOLDER, Array, Keeping, keeping
from introspect.analyses.monitor.monitor import MonitorSettings, monitor
from introspect.analyses.subject import open_subject, spread
from introspect.errors import InputError, InterruptionError
from introspect.experiment.options import Options

OPTIONS = Options(model="organism:aware", questions="detect", concepts="snow,bread,river,sheep,wolf", strengths="2")
FEW = Options(**{**vars(OPTIONS), "n_loops": "1,2", "layers": "3", "loops": "1", "max_new_tokens": 4})
SETTINGS = Settings(recurrences=5, attention_loops=2, follow=5, max_tokens=12)


def monitored(keep: Keeping) -> Analysis:
    return monitor(FEW, MonitorSettings(tasks="arithmetic", probe="means", injected=True), keep=keep)


def settled(keep: Keeping) -> Analysis:
    return analysed(open_dynamics(FEW, SETTINGS, None), keep)


def tables(analysis: Analysis) -> dict[str, str]:
    return {name: table.to_csv(index=False) for name, (_, table) in analysis.tables.items()}


def ones() -> dict[str, Array]:
    return {"x": np.ones(2)}


def never() -> dict[str, Array]:
    raise AssertionError("measured twice")


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("analyse", [settled, monitored])
def test_stopped_and_continued_gives_the_tables_of_an_undisturbed_call(
    analyse: Callable[[Keeping], Analysis], tmp_path: Path
) -> None:
    with keeping() as keep:
        whole = tables(analyse(keep))
    folder, kept = tmp_path / "stopped", 0
    for units in (1, 3):
        with pytest.raises(InterruptionError, match="the same command continues"):
            analyse(stopping_after(units, folder))
        before, kept = kept, len(list(folder.rglob("*.safetensors")))
        assert kept > before
        (folder / KEPT_FOLDER / ".half-written").write_bytes(b"what a killed call leaves")
    last = Keeping(folder / KEPT_FOLDER)
    assert tables(analyse(last)) == whole
    last.finish()
    assert not (folder / KEPT_FOLDER).exists()


def stopping_after(units: int, folder: Path) -> Keeping:
    """Note Ctrl-C after so many units."""
    done: list[int] = []
    return Keeping(folder / KEPT_FOLDER, lambda n, *_: done.extend([n] * (n > 0)), lambda: len(done) >= units)


def test_what_is_kept_is_not_measured_again_and_another_model_or_option_never_finds_it(tmp_path: Path) -> None:
    subject = open_subject(OPTIONS)
    first, again, other = (Keeping(tmp_path) for _ in range(3))
    for kept, more in ((first, 1), (again, 1), (other, 2)):
        kept.about(subject, rows=more)
        kept.begin("numbers", 2)
    assert first.unit(ones, part=1)["x"].tolist() == [1, 1]
    assert again.unit(never, part=1)["x"].tolist() == [1, 1]
    for kept, part in ((again, 2), (other, 1)):
        with pytest.raises(AssertionError, match="measured twice"):
            kept.unit(never, part=part)
    changed = Keeping(tmp_path)
    changed.about(open_subject(Options(**{**vars(OPTIONS), "model": "organism:blind"})), rows=1)
    changed.begin("numbers", 2)
    with pytest.raises(AssertionError, match="measured twice"):
        changed.unit(never, part=1)


def test_one_call_leaves_what_another_has_kept(tmp_path: Path) -> None:
    mine, others = Keeping(tmp_path / KEPT_FOLDER), Keeping(tmp_path / KEPT_FOLDER, decided_by={"of": "another"})
    mine.unit(ones, part=1)
    others.unit(ones, part=1)
    mine.finish()
    assert others.unit(never, part=1)["x"].tolist() == [1, 1]
    others.finish()
    assert not (tmp_path / KEPT_FOLDER).exists()


def test_a_damaged_unit_is_one_line(tmp_path: Path) -> None:
    kept = Keeping(tmp_path)
    path = kept.unit(ones, part=1).path
    path.write_bytes(b"nothing that can be read")
    with pytest.raises(InputError, match="delete it, and it is measured anew"):
        kept.unit(never, part=1)["x"]


def test_an_unfinished_call_keeps_and_a_finished_one_does_not(tmp_path: Path) -> None:
    def stopped() -> None:
        with keeping(tmp_path) as keep:
            keep.unit(ones, part=1)
            raise InterruptionError

    with pytest.raises(InterruptionError):
        stopped()
    assert list((tmp_path / KEPT_FOLDER).glob("*.safetensors"))
    with keeping(tmp_path) as keep:
        keep.unit(never, part=1)
    assert not (tmp_path / KEPT_FOLDER).exists()


def test_a_sample_is_spread_over_all() -> None:
    assert spread(range(10), 4) == [0, 2, 5, 7]
    assert spread(range(3), 4) == spread(range(3), None) == [0, 1, 2]


@pytest.mark.slow
def test_the_full_size_takes_more() -> None:
    few = ("dynamics", "organism:aware", "--dry-run", "--recurrences", 4, "--follow", 4, "--layers", 0, "--loops", 0)
    some, full = (introspect(*few, *more)[1] for more in ((), ("--full",)))
    assert some.startswith("16 texts, 24 injected trials")
    assert full.startswith("103 texts, 96 injected trials")
