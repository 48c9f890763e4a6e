"""A run keeps the rules that it was begun with; how tokens are drawn is one of them."""

from functools import partial
from pathlib import Path

import pytest
import swept
from swept import options, run_without_figures

from introspect.experiment.laboratory import open_laboratory
from introspect.experiment.run import Run
from introspect.results.store.store import Store


@pytest.fixture
def begun_before(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of design 3 of which half was stored."""
    asked = options(tiny, tmp_path / "run", questions="detect")

    def stop(done: int, _: int) -> None:
        if done >= 16:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(swept, "open_laboratory", partial(open_laboratory, design=3))
        with pytest.raises(KeyboardInterrupt):
            run_without_figures(asked, stop)
    return asked.folder


def test_a_run_of_design_3_goes_on_inverting_the_cdf_and_its_trials_are_replayed_so(
    tiny: Path, begun_before: Path, tmp_path: Path
) -> None:
    with Store.open(begun_before) as store:
        had = store.done_ids()
    run_without_figures(options(tiny, begun_before, questions="detect"))
    with Store.open(begun_before) as store:
        trials = list(store.trials())
    assert {trial.sampling.draws for trial in trials} == {"inverse-cdf"}
    assert had < {trial.id for trial in trials}
    with Run.open(begun_before) as run:
        assert all((again := run.trial(trial.id)).replay().text == again.text for trial in trials[::5])
    fresh = open_laboratory(options(tiny, tmp_path / "new", questions="detect"))
    planned = list(fresh.plan(fresh.vectors()))
    assert {trial.sampling.draws for trial in planned} == {"gumbel"}
    assert {trial.seed for trial in planned} == {trial.seed for trial in trials}
    assert not {trial.id for trial in planned} & {trial.id for trial in trials}
