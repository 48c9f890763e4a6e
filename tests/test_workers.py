"""However many workers run a plan, and however they die, its rows are those of a single process."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import torch
from commanded import arguments
from crewed import Staff, blocks, dead
from swept import SMALL, TOTAL, options, run_without_figures

from introspect.errors import InputError, InterruptionError
from introspect.experiment.laboratory import open_laboratory
from introspect.experiment.options import Options
from introspect.experiment.workers import crew
from introspect.experiment.workers.driver import BLOCK_TRIES
from introspect.experiment.workers.events import Died, Event, Job, Ready, Refused
from introspect.experiment.workers.processes import Processes, seated
from introspect.experiment.workers.trial_blocks import Block
from introspect.experiment.workers.worker import Worker
from introspect.results.store.store import Store


def assert_same_rows(run: Path, other: Path) -> None:
    """Compare trials.csv and rates.csv: number of threads may change the last digits of a float32."""
    for name in ("trials.csv", "rates.csv"):
        pd.testing.assert_frame_equal(*(pd.read_csv(each / "tables" / name) for each in (run, other)), rtol=1e-5)


def descendants(named: str = "") -> list[psutil.Process]:
    """List the processes below this one with a text in their command line."""
    return [each for each in psutil.Process().children(recursive=True) if named in " ".join(each.cmdline())]


def listening() -> set[str]:
    """List the addresses on which this process and those below it listen."""
    found = set()
    for each in (psutil.Process(), *descendants()):
        with suppress(psutil.Error):
            found |= {conn.laddr.ip for conn in each.net_connections("inet") if conn.status == psutil.CONN_LISTEN}
    return found


def kill_one_at(wanted: int, named: str) -> Callable[[int, int], None]:
    """Make a report that kills one worker with SIGKILL, once, when so many trials are done."""
    killed: list[psutil.Process] = []

    def kill(done: int, _: int) -> None:
        if done >= wanted and not killed:
            killed.extend(descendants(named)[:1])
            killed[0].kill()

    return kill


def counted(monkeypatch: pytest.MonkeyPatch, of: type) -> list[int]:
    """Let a crew note the workers that it starts."""
    started: list[int] = []
    start = of.start  # type: ignore[attr-defined]  # every crew has it
    monkeypatch.setattr(of, "start", lambda crew: started.append(start(crew)) or started[-1])  # type: ignore[func-returns-value]
    return started


def test_two_processes_one_killed_in_the_middle_give_the_rows_of_one(
    tiny: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = counted(monkeypatch, Processes)
    asked = options(tiny, tmp_path, workers=2, batch_size=4)
    folder = run_without_figures(asked, kill_one_at(8, "multiprocessing.spawn"))
    assert_same_rows(folder, finished)
    assert started == [0, 1, 2]
    assert not descendants("multiprocessing.spawn")


@pytest.mark.slow
def test_two_ray_actors_one_killed_in_the_middle_give_the_rows_of_one(
    tiny: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason='Ray is an extra: pip install "introspect-loops[ray]"')
    from introspect.experiment.workers.ray import RayActors

    started, heard, kill = counted(monkeypatch, RayActors), set[str](), kill_one_at(8, "ray::_Actor")

    def report(so_far: int, total: int) -> None:
        heard.update([] if heard else listening())
        kill(so_far, total)

    asked = options(tiny, tmp_path, workers=2, ray="local", batch_size=1)
    folder = run_without_figures(asked, report)
    assert heard
    assert {address.removeprefix("::ffff:") for address in heard} == {"127.0.0.1"}, "nobody else may reach the cluster"
    assert_same_rows(folder, finished)
    assert started == [0, 1, 2]
    assert not descendants("ray")


@pytest.mark.slow
def test_a_sweep_on_ray_ends_quietly_at_sigterm_with_all_its_processes(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason='Ray is an extra: pip install "introspect-loops[ray]"')
    asked = arguments({**SMALL, "ray": "local", "workers": 1, "batch_size": 1, "out": tmp_path / "run"})
    command = [sys.executable, "-m", "introspect", "sweep", str(tiny), *asked]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as driver:
        while not descendants("ray::_Actor"):
            assert driver.poll() is None, driver.stderr
            time.sleep(0.2)
        below = psutil.Process(driver.pid).children(recursive=True)
        driver.terminate()
        _, said = driver.communicate()
    assert driver.returncode == 128 + signal.SIGTERM
    assert "SIGTERM" not in said
    assert not psutil.wait_procs(below, timeout=20)[1]


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere:many"])
def test_an_address_where_no_cluster_answers_is_refused_at_once(address: str) -> None:
    pytest.importorskip("ray", reason='Ray is an extra: pip install "introspect-loops[ray]"')
    with (
        pytest.raises(InputError, match=f"ray '{address}': no cluster answers there"),
        crew.opened(Options(ray=address), "float32", 2),
    ):
        pass


@pytest.mark.slow
def test_ctrl_c_lets_the_blocks_under_way_finish_and_the_sweep_goes_on_with_any_workers(
    tiny: Path, finished: Path, tmp_path: Path
) -> None:
    def stop(done: int, _: int) -> None:
        if done == 8:  # a terminal sends it to every process
            for process in (psutil.Process(), *descendants("multiprocessing.spawn")):
                process.send_signal(signal.SIGINT)

    with pytest.raises(InterruptionError, match=f"of {TOTAL} trials; the same command continues") as stopped:
        run_without_figures(options(tiny, tmp_path, workers=2, batch_size=1), stop)
    with Store.open(tmp_path) as store:
        assert 8 < store.count() <= 16  # blocks of 4: at most two were under way
        assert f"stopped after {store.count()} " in str(stopped.value)
    assert_same_rows(run_without_figures(options(tiny, tmp_path)), finished)


@pytest.mark.slow
def test_a_block_that_kills_every_worker_is_named_and_its_trials_marked_and_the_sweep_goes_on(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = options(tiny, tmp_path, workers=2)
    laboratory = open_laboratory(asked)
    worker = Worker(Job(replace(asked, workers=None), 2, Path.cwd()))
    deadly: list[str] = []

    def answer(_: int, block: Block) -> list[Event]:
        deadly.append(block.name)
        return [dead(block)] if block.name == deadly[0] else [worker.run(block)]

    @contextmanager
    def opened(*_: object) -> Iterator[Staff]:
        assert worker.open() == Ready()
        yield Staff(2, answer)

    monkeypatch.setattr(crew, "opened", opened)
    run_without_figures(asked)
    with Store.open(tmp_path) as store:
        assert (store.count(), store.count("error")) == (TOTAL - 8, 8)
    trials = pd.read_csv(tmp_path / "tables" / "trials.csv")
    said = f"block {deadly[0]} failed {BLOCK_TRIES} times, each time its worker died; the last one: killed by SIGKILL"
    assert trials["error"].dropna().str.contains(said).all()
    assert laboratory.batch_size(2) == 2


def test_a_worker_without_the_folder_of_the_run_says_that_storage_must_be_shared(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for job, missing in (
        (Job(options(tiny, tmp_path / "run"), 2, tmp_path), "the vectors of this model in .*run"),
        (Job(options(tiny, tmp_path / "run"), 2, tmp_path / "home"), "directory .*home"),
    ):
        event = Worker(job).open()
        assert isinstance(event, Refused)
        with pytest.raises(InputError, match=f"worker on .* does not see {missing}; .*storage that every worker"):
            raise event.error


def test_an_error_that_is_not_the_users_ends_the_worker_and_names_its_place(tiny: Path, tmp_path: Path) -> None:
    (block,) = blocks(1)
    event = Worker(Job(options(tiny, tmp_path), 2, tmp_path)).run(block)
    assert isinstance(event, Died)
    assert "was given to a worker that is not open" in event.reason
    assert "worker.py, line " in event.reason


@pytest.mark.parametrize(
    ("device", "gpus", "devices"),
    [
        ("auto", 3, ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]),
        ("cuda", 8, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
        ("cuda:1", 3, ["cuda:1"] * 4),
        ("cpu", 3, ["cpu"] * 4),
        ("auto", 0, ["auto"] * 4),
    ],
)
def test_each_process_has_its_own_gpu_as_far_as_they_go(
    monkeypatch: pytest.MonkeyPatch, device: str, gpus: int, devices: list[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    jobs = [seated(Job(Options(device=device), 2, Path.cwd()), seat, 4) for seat in range(4)]
    assert [job.options.device for job in jobs] == devices


@pytest.mark.parametrize(
    ("asked", "device", "gpus", "share"),
    [
        ({}, "cpu", 0, 1),
        ({"workers": 3}, "cpu", 0, 3),
        ({"workers": 4}, "cuda", 2, 2),
        ({"workers": 5}, "cuda", 2, 3),
        ({"workers": 2}, "cuda", 8, 1),
        ({"workers": 2}, "cuda:1", 8, 2),
        ({"workers": 9, "ray": "auto"}, "cuda", 2, 1),
    ],
)
def test_workers_share_the_memory_of_their_device(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], device: str, gpus: int, share: int
) -> None:
    monkeypatch.setattr("introspect.experiment.preconditions.find_spec", lambda _: "found")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert crew.sharing(Options(device=device, **asked)) == share
