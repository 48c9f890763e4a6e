"""The page of a report in a real browser, from a file, on a wide and a narrow screen. Skipped where there is none.

Needs playwright and a Chromium of the machine, such as Debian's package `chromium`; nothing is downloaded.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made import fill, grade, new_store, response, trial

from introspect.prompts import template_named
from introspect.report.findings import Findings
from introspect.report.writing import write_report
from introspect.results.store.store import Store

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: apt-get install chromium")

WIDE, NARROW = 1400, 390
HOSTILE = (
    "<script>document.title='gone'</script><img src='http://127.0.0.1:9/x' onerror=\"document.title='gone'\">\x1b[31m"
)
DETECT = template_named("detect")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:  # Any: playwright may be missing
    with playwright.sync_playwright() as driver:
        # --no-sandbox: tests in a container run as root
        opened = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a finished run, in a folder of its own."""
    with Store.open(finished) as store:
        return write_report(Findings(store), tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a run in which a model wrote markup."""
    manifest: dict[str, object] = {"templates": {DETECT.hash: [DETECT.name, DETECT.source]}}
    with new_store(tmp_path_factory.mktemp("hostile") / "run", manifest) as store:
        one = trial(template_hash=DETECT.hash)
        fill(store, [replace(one, concept="snow")])
        store.add([(one, response(one, HOSTILE))], [replace(grade(one), evidence=HOSTILE)])
        return write_report(Findings(store))


def opened(browser: Any, path: Path, width: int) -> tuple[Any, list[str]]:
    """Open a page from its file; give it, and what it complained about or asked for beside itself."""
    page, noticed = browser.new_page(viewport={"width": width, "height": 900}), []
    page.on("pageerror", lambda error: noticed.append(f"error: {error}"))
    page.on("console", lambda message: noticed.append(f"console: {message.text}"))
    page.on("request", lambda request: noticed.append(f"request: {request.url[:80]}"))
    page.goto(path.as_uri())
    kept = [
        each for each in noticed if each != f"request: {path.as_uri()[:80]}" and "request: data:image/png" not in each
    ]
    return page, kept


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_opens_from_a_file_and_asks_for_nothing_else(browser: Any, report: Path, width: int) -> None:
    page, noticed = opened(browser, report, width)
    assert noticed == []
    assert page.locator("h2").all_inner_texts()[:2] == ["What was asked", "Controls side by side"]
    drawn = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(drawn) >= 3
    assert min(drawn) > 100
    page.close()


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_nothing_is_wider_than_the_screen(browser: Any, report: Path, width: int) -> None:
    page, _ = opened(browser, report, width)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_wide_tables_scroll_within_themselves_on_a_narrow_screen(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report, NARROW)
    table = page.locator("#controls .scroll").first
    assert table.evaluate("each => each.scrollWidth > each.clientWidth")
    assert table.evaluate("each => { each.scrollLeft = 1000; return each.scrollLeft }") > 0
    page.close()


def test_text_is_dark_on_white_and_of_a_size_to_be_read(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report, NARROW)
    style = page.evaluate(
        "(({color, backgroundColor, fontSize}) => [color, backgroundColor, fontSize])(getComputedStyle(document.body))"
    )
    assert style == ["rgb(28, 28, 26)", "rgb(255, 255, 255)", "16px"]
    page.close()


def test_the_span_is_marked_in_the_prompt(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report, WIDE)
    mark = page.locator("#asked .chat mark").first
    assert mark.inner_text().startswith("Trial 1: Do you notice an injected thought?")
    assert mark.evaluate("each => getComputedStyle(each).backgroundColor") != "rgba(0, 0, 0, 0)"
    page.close()


def test_what_a_model_writes_runs_nothing_and_is_read_as_written(browser: Any, hostile: Path) -> None:
    page, noticed = opened(browser, hostile, WIDE)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert noticed == []
    assert page.title() == "run: report"
    assert page.locator("#trials .answer .said", has_text="<script>").inner_text() == HOSTILE.replace("\x1b", "\\x1b")
    page.close()
