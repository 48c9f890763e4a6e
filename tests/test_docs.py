"""What the README and the documentation say is there: commands, options, columns, protocols, arms, families, links."""

import importlib
import re
import runpy
import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import typer
from swept import run_without_figures

from introspect.cli.app import app
from introspect.experiment.options import Options
from introspect.families.feedforward.model import FEED_FORWARD
from introspect.families.registry import FAMILIES
from introspect.protocols import PROTOCOLS
from introspect.records.trial import ARMS
from introspect.results.tables.trials.columns import TABLE_COLUMNS, meaning

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [page for page in PAGES if page.name not in ("commands.md", "columns.md")]


FEW = Options(
    concepts="trust,doubt,desert",
    loops="1",
    layers="1",
    strengths="2",
    arms="injected,none,random",
    max_new_tokens=12,
    grader="rules,logits",
)


def blocks(text: str) -> list[str]:
    """List what is indented or fenced as code."""
    fenced = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    indented = re.findall(r"(?:^ {4}.*\n)+", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return [*fenced, *indented]


def commands() -> list[tuple[str, str]]:
    """List every command line that is shown, with its page."""
    found = []
    for page in WRITTEN:
        for block in blocks(page.read_text()):
            joined = block.replace("\\\n", " ")
            lines = re.findall(r"^ *(introspect [a-z][^\n#]*)", joined, re.MULTILINE)
            found += [(page.name, line.strip()) for line in lines]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_line_is_one_that_the_program_takes(page: str, line: str) -> None:
    """It is parsed and not run: its command, its options and their types are there."""
    name, *given = shlex.split(line)[1:]
    group = typer.main.get_command(app)
    command = group.get_command(typer.Context(group), name)  # type: ignore[attr-defined]
    assert command is not None, f"{page}: {line}"
    with command.make_context(name, list(given)):
        pass


def test_the_command_lines_are_found() -> None:
    shown = {line.split()[1] for _, line in commands()}
    assert {"sweep", "calibrate", "table", "report", "show", "grade", "monitor", "models"} <= shown


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    generated = {"commands.md", "columns.md"}
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target and Path(target).name not in generated:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_protocol_arm_and_family_has_its_row() -> None:
    asked = (ROOT / "docs" / "reference" / "protocols.md").read_text()
    assert [name for name in (*PROTOCOLS, *ARMS) if f"| `{name}` |" not in asked] == []


def test_the_table_of_families_is_what_they_say_of_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    write_families = importlib.import_module("families_table").write_families
    write_families(tmp_path / "table.md")
    rows = [line.strip("| ").split(" | ") for line in (tmp_path / "table.md").read_text().splitlines()]
    said = {kind: (name, loops, verified) for kind, name, loops, verified in rows[2:]}
    for kind in FAMILIES:
        if kind not in FEED_FORWARD:
            about = FAMILIES[kind].about
            assert said[f"`{kind}`"] == (about.name, about.loops, about.verified)
    assert "{include} families_table.md" in (ROOT / "docs" / "reference" / "families.md").read_text()


def test_the_readme_is_a_page_of_short_sentences() -> None:
    assert len(README.split()) <= 900
    prose = "".join(part for part in re.split(r"```.*?```", README, flags=re.DOTALL))
    prose = re.sub(r"\]\([^)]*\)", "]", "\n".join(line for line in prose.splitlines() if not line.startswith("    ")))
    for sentence in re.split(r"(?<=[.:?!])\s+|\n\n|\n- |\n\d\. ", prose):
        assert len(sentence.split()) <= 30, sentence


def test_every_extra_is_named_in_the_readme() -> None:
    named = re.search(r"optional-dependencies\]\n(.*?)\n\[", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert named is not None
    for extra in re.findall(r"^(\w+) = \[", named[1], re.MULTILINE):
        assert f"`{extra}`" in README or extra in ("dev", "mutants", "real"), extra


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small run where the pages expect one."""
    home = tmp_path_factory.mktemp("home")
    run_without_figures(replace(FEW, out=home / "runs" / "demo"))
    return home


def test_every_table_and_column_is_explained(demo: Path) -> None:
    files = sorted((demo / "runs" / "demo" / "tables").glob("*.csv"))
    assert len(files) > 8
    for file in files:
        assert file.stem in TABLE_COLUMNS, file.name
        unknown = [name for name in pd.read_csv(file).columns if meaning(name) is None]
        assert unknown == [], file.name


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/follow_up.md", "docs/how-to/transformerlens.md"])
def test_the_python_of_the_pages_runs(page: str, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo)
    code = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert code
    (demo / "page.py").write_text("\n".join(code))
    runpy.run_path(str(demo / "page.py"))
