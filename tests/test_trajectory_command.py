"""`introspect trajectory` on shipped organisms, its page in a browser, and what it refuses."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from commanded import introspect, refused
from print_size import written_widths
from swept import run_without_figures

from introspect.analyses.analysis import Analysed
from introspect.analyses.subject import folder_of
from introspect.analyses.trajectory.page import drawing_page
from introspect.analyses.trajectory.path_drawing import Drawn
from introspect.analyses.trajectory.plan import planning
from introspect.analyses.trajectory.trajectory import followed_paths, trajectory
from introspect.experiment.options import Options
from introspect.results.figures.layout import WIDTHS

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FEW = ["--concepts", "snow,bread,river", "--loops", "0,2", "--strengths", "1"]
HOSTILE = "</script><script>document.title='gone'</script><img src=x onerror=\"document.title='gone'\">"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a trajectory of the organism that has everything: prelude, core and coda."""
    folder = tmp_path_factory.mktemp("trajectory") / "out"
    code, said, err = introspect("trajectory", "organism:huginn", *FEW, "--width", "one", "--out", folder)
    assert (code, err) == (0, "")
    assert "of held-out trials, n = 3 concepts" in said
    assert said.splitlines()[-1].strip() == str(folder / "paths.html")
    return folder


def test_the_command_leaves_tables_figures_and_a_page(written: Path) -> None:
    found = Analysed.open(written)
    assert set(found.said["figures"]) == {path.stem for path in (written / "figures").glob("*.png")}
    assert written_widths(written) == {WIDTHS["one"]}
    assert set(found.said["tables"]) == {path.stem for path in (written / "tables").glob("*.csv")}
    assert 3 <= len(found.said["sentences"]) <= 8
    table = found.table("differences")
    cells = table.groupby(["quantity", "metric", "arm", "sites", "strength"]).size()
    assert len(cells) == 3 * 2 * 2 * 2
    assert (cells == 14).all()
    assert (table["n"].dropna() <= 3).all()


def test_both_lenses_read_every_site_that_they_can(written: Path) -> None:
    table = Analysed.open(written).table("readouts")
    sites = table.groupby("lens")["site"].unique()
    assert len(sites["logit"]) == 14
    assert set(sites["logit"]) - set(sites["coda"]) == {"coda:0"}
    ends = table[(table["site"].isin(["3:2", "coda:0"])) & (table["word"] == "yes")]
    last = ends.groupby(["lens", "site"])["control"].first()
    assert last["coda", "3:2"] == pytest.approx(last["logit", "coda:0"], abs=1e-5)


def test_a_probe_reads_the_concept_behind_the_injection_and_not_before(written: Path) -> None:
    table = Analysed.open(written).table("memory")
    before = table["share"] == 0
    assert table.loc[before, "rate"].to_numpy() == pytest.approx(1 / 3)
    assert table.loc[~before & (table["sites"] == "0:1"), "rate"].max() == 1
    assert list(table.loc[~before & (table["sites"] == "2:1"), "site"]) == ["2:2", "3:0", "3:1", "3:2", "coda:0"]


@pytest.mark.slow
def test_a_run_lends_its_concepts_sites_and_strengths(tmp_path: Path) -> None:
    asked = {"concepts": "snow,bread", "questions": "detect", "layers": "1", "loops": "1", "strengths": "3"}
    run = run_without_figures(Options(**asked, max_new_tokens=1, out=tmp_path / "run"))
    assert "strengths: is that of the run" in refused("trajectory", "--run", run, "--strengths", "2")
    assert "n_loops 3: trials are injected with 4 loops" in refused("trajectory", "--run", run, "--n-loops", "3")
    tables = trajectory(Options(), run=run).tables
    assert set(tables["totals"][1]["strength"]) == {3}
    assert set(tables["memory"][1]["sites"]) == {"1:1"}
    assert folder_of("trajectory", Options(), run, None) == run / "analyses" / "trajectory"


def test_a_dry_run_says_what_a_run_takes_and_stores_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, _ = introspect("trajectory", "organism:aware", *FEW, "--dry-run")
    assert code == 0
    assert said.startswith("24 trials, and their controls, in ")
    assert "token-block forwards, about " in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("model", ["organism:aware", "organism:huginn"])
def test_the_work_that_is_said_is_what_is_run(model: str) -> None:
    asked = {"concepts": "snow,bread,river", "loops": "1", "layers": "1", "strengths": "1", "questions": "detect"}
    plan = planning(Options(model=model, batch_size=4, **asked))
    said, looped, ran = plan.cost(), plan.subject.tap.looped, [0]

    def count(_: object, given: tuple[torch.Tensor, ...]) -> None:
        ran[0] += given[0].shape[0] * given[0].shape[1]

    hooks = [block.register_forward_pre_hook(count) for block in (*looped.prelude, *looped.blocks, *looped.coda)]
    followed_paths(plan)
    for hook in hooks:
        hook.remove()
    assert ran[0] == said.token_blocks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--concepts", "snow"],
            "concepts 'snow': a probe that names the concept needs at least 2",
        ),
        (["--probe", "forest"], "unknown probe 'forest'; known: means, logistic"),
        (["--layers", "9"], "layers: '9' is out of range"),
        (["--strengths", "much"], "strengths: 'much' is not a number"),
        (["--run", "nowhere"], "nowhere"),
        (["--n-loops", "0"], "n_loops"),
    ],
)
def test_bad_input_is_one_line(options: list[str], words: str) -> None:
    assert words in refused("trajectory", *options)


def drawing(title: str = "snow, injected at 0:1, strength 2") -> Drawn:
    line = torch.linspace(0, 1, 4, dtype=torch.float64)[:, None] * torch.tensor([[2.0, 1.0, 0.5]])
    bent = line + torch.tensor([[0.0], [0.0], [1.0], [1.5]])
    steps = torch.ones(3), torch.ones(3)
    return Drawn(title, ("embedding", "0:0", "0:1", "1:0"), (-1, 0, 0, 1), 2, bent, line, steps, (2,), (0.8, 0.2, 0.0))


def test_a_page_holds_no_markup_but_its_own_and_asks_for_nothing() -> None:
    text = drawing_page([drawing(HOSTILE)], f"Paths of {HOSTILE}")
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert "<img" not in text
    assert "http:" not in text.replace("http-equiv", "")
    assert "https:" not in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:  # Any: playwright may be missing
    if BROWSER is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        # --no-sandbox: tests in a container run as root
        opened = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(browser: Any, path: Path, width: int = 1000) -> tuple[Any, list[str]]:
    """Open a page from its file; give it, and what it complains about or asks for beside itself, as it comes."""
    shown, noticed = browser.new_page(viewport={"width": width, "height": 900}), list[str]()
    shown.on("pageerror", lambda error: noticed.append(f"error: {error}"))
    shown.on("console", lambda message: noticed.append(f"console: {message.text}"))
    own = path.as_uri()
    shown.on("request", lambda request: None if request.url == own else noticed.append(f"request: {request.url}"))
    shown.goto(own)
    return shown, noticed


def pixels(shown: Any) -> str:
    text: str = shown.evaluate("document.getElementById('paths').toDataURL()")
    return text


@pytest.mark.parametrize("width", [1000, 390])
def test_the_page_turns_by_dragging_and_by_keys_and_back(browser: Any, written: Path, width: int) -> None:
    shown, noticed = opened(browser, written / "paths.html", width)
    first, box = pixels(shown), shown.locator("#paths").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    shown.mouse.move(x, y)
    shown.mouse.down()
    shown.mouse.move(x + 60, y + 20)
    shown.mouse.up()
    dragged = pixels(shown)
    assert dragged != first
    shown.keyboard.press("ArrowLeft")
    shown.locator("#paths").press("ArrowUp")
    assert pixels(shown) != dragged
    shown.locator("#reset").click()
    assert pixels(shown) == first
    shown.locator("#which").select_option("1")
    assert pixels(shown) != first
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    assert noticed == []
    shown.close()


def test_pointing_at_a_dot_names_its_loop_and_layer(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "paths.html").write_text(drawing_page([drawing()], "Paths"), encoding="utf-8")
    shown, noticed = opened(browser, tmp_path / "paths.html")
    box = shown.locator("#paths").bounding_box()
    for index, name in ((2, "0:1, trial"), (3, "1:0, trial"), (0, "embedding, trial")):
        dot = shown.evaluate(f"(({{x, y}}) => [x, y])(dots.find(dot => dot.kind === 'trial' && dot.index === {index}))")
        shown.mouse.move(box["x"] + dot[0] + 1, box["y"] + dot[1])
        assert shown.locator("#tip").inner_text().startswith(name if index else "embedding")
    shown.mouse.move(box["x"] + 3, box["y"] + 3)
    assert shown.locator("#tip").is_hidden()
    assert noticed == []
    shown.close()


def test_text_of_a_user_runs_nothing_and_is_shown_as_it_is(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "paths.html").write_text(drawing_page([drawing(HOSTILE)], f"Paths of {HOSTILE}"), encoding="utf-8")
    shown, noticed = opened(browser, tmp_path / "paths.html")
    assert shown.title() == f"Paths of {HOSTILE}"
    assert shown.locator("#which option").all_text_contents() == [HOSTILE]
    assert json.loads(shown.locator("#drawings").text_content())[0]["title"] == HOSTILE
    shown.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    assert shown.evaluate("window.ran") is None, "a script that is not the page's own was run"
    assert any("Content Security Policy" in each for each in noticed)
    assert pd.Series(noticed).str.startswith("console: ").all()
    shown.close()
