"""What the README says of adding something is enough: it comes out in tables, figures and report, with nothing else."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from swept import save_quietly
from tiny import tiny_model

from introspect.errors import InputError
from introspect.grading.function_grader import FunctionGrader, Judgement
from introspect.protocols import PROTOCOLS, Question, kind_of, questions_of
from introspect.protocols.detect import DETECT
from introspect.protocols.question import Protocol, neutral
from introspect.protocols.unrelated import PLAIN, UNRELATED

PACKAGE = Path(str(find_spec("introspect").origin)).parent  # type: ignore[union-attr]

FILES = {
    "protocols/feeling.py": '''
"""A question of noticing in other words."""

from introspect.protocols.question import Asked, Protocol, Question, neutral
from introspect.protocols.unrelated import UNRELATED

FEELING = Protocol(
    "feeling",
    "is a thought felt",
    (
        Question("felt", "noticing", neutral("felt"), lambda _: [Asked()], beside="unrelated", rubric="detect"),
        UNRELATED,
    ),
    arms=("injected", "none", "random"),
)
''',
    "prompts/templates/felt.j2": "<<user>>\n<<inject>>Do you feel a thought that is not yours?\n",
    "grading/shouting.py": '''
"""An answer that notices is written in capitals, or its first token is."""

from introspect.grading.function_grader import Judgement, grader


@grader("shouting", version="1")
def shouting(trial, response):
    yes = len(response.text) % 2 == 0
    return Judgement(detected=yes, answer="yes" if yes else "no", evidence="length of the answer")
''',
    "results/statistics/lengths.py": '''
"""How many answers each arm has."""


def lengths(trials):
    return trials.groupby("arm").size().rename("answers_given").reset_index()
''',
    "results/figures/bars.py": '''
"""Bars of how many answers each arm has."""

from introspect.results.figures.panels import panels


def bars(table):
    axes = panels(1, width=3.0, height=2.5)
    axes[0].bar(table["arm"], table["answers_given"])
    return axes
''',
    "families/another/__init__.py": "",
    "families/another/adapter.py": '''
"""Ouro under another name."""

from introspect.families.ouro.adapter import OuroLooped


class AnotherLooped(OuroLooped):
    pass
''',
}
"""The files of the recipes."""
CONCEPTS = "dust,satellites,trumpets,origami,illusions,cameras,lightning,constellations,treasures,phones"
"""As many as give ten plain questions of each answer."""
LINES = {
    "protocols/__init__.py": (
        ("from introspect.protocols.detect import DETECT", "from introspect.protocols.feeling import FEELING"),
        ("    DETECT,", "    FEELING,"),
    ),
    "grading/__init__.py": (
        ("from introspect.grading.rules import RuleGrader", "from introspect.grading.shouting import shouting"),
        ("(RuleGrader(), LogitGrader()", ", shouting"),
    ),
    "results/tables/inference.py": (
        (
            "from introspect.results.statistics.detection import detection_table",
            "from introspect.results.statistics.lengths import lengths",
        ),
        ('"ranks": lambda: _ranks(answered),', '            "lengths": lambda: lengths(answered),'),
    ),
    "results/figures/all_figures.py": (
        ("from introspect.results.store.store import Store", "from introspect.results.figures.bars import bars"),
        ('"readout_map": ("readouts", readout_map),', '    "answer_bars": ("lengths", bars),'),
    ),
    "families/registry.py": (
        (
            "from introspect.families.ouro.adapter import OuroLooped",
            "from introspect.families.another.adapter import AnotherLooped",
        ),
        ('"ouro": OuroLooped,', '    "another": AnotherLooped,'),
    ),
}
"""What each registry gains, behind what stands there: the import, and the line."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package and follow the recipes in the copy."""
    home = tmp_path_factory.mktemp("home")
    package = home / "introspect"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("*.safetensors"))
    for name, text in FILES.items():
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text(text.lstrip("\n"))
    for name, lines in LINES.items():
        source = (package / name).read_text()
        for after, line in lines:
            assert source.count(after) == 1, (name, after)
            joint = "" if line.startswith(",") or after.endswith(", ") else "\n"
            source = source.replace(after, f"{after}{joint}{line}")
        (package / name).write_text(source)
    return home


def run(home: Path, *commands: tuple[str, ...]) -> str:
    """Run commands of the copy in one process, with small figures of one format, in half the time."""
    code = "from introspect.results.store import csv_files; csv_files.FORMATS = {'png': {'dpi': 40}}\n"
    code += f"from introspect.cli import app\nfor each in {commands!r}: app(each, standalone_mode=False)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=home)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def swept(home: Path) -> Path:
    """Run a small sweep of the new family with all that is new."""
    model = save_quietly(tiny_model(), home / "model")
    config = model / "config.json"
    config.write_text(config.read_text().replace('"model_type": "ouro"', '"model_type": "another"'))
    few = ("--concepts", CONCEPTS, "--layers", "0", "--strengths", "2", "--max-new-tokens", "2")
    new = ("--protocol", "feeling", "--grader", "shouting", "--out", "run")
    run(home, ("sweep", str(model), "--loops", "0", *few, *new), ("report", "run"))
    return home / "run"


def test_what_the_readme_says_of_adding_something_is_enough(swept: Path) -> None:
    tables = {path.stem: pd.read_csv(path) for path in (swept / "tables").glob("*.csv")}
    page = (swept / "report.html").read_text()
    assert {"felt", "unrelated"} == set(tables["trials"]["question"])
    detected = tables["rates"][(tables["rates"]["measure"] == "detected")]
    assert (detected["n"] > 0).all()
    assert set(tables["contrasts"]["effect"]) >= {"contrast", "injected"}
    assert list(tables["lengths"]["answers_given"]) == list(tables["trials"].groupby("arm").size())
    assert (swept / "figures" / "answer_bars.png").is_file()
    assert any(path.stem.startswith("detection_map") for path in (swept / "figures").iterdir())
    assert (swept / "figures" / "contrast_map.png").is_file()
    for said in ("felt", "shouting", "answers given", "answer_bars"):
        assert said in page, said


def test_help_lists_the_graders_that_there_are(home: Path) -> None:
    assert "shouting" in run(home, ("grade", "--help"))


def test_a_question_without_a_kind_is_refused() -> None:
    for kind in (None, "", "detect"):
        with pytest.raises(InputError, match=f"question 'odd': kind {kind!r}; known: noticing, plain, choice"):
            Question("odd", kind, neutral("detect"), lambda _: [])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ask"):
        Question("odd", neutral("detect"), lambda _: [])  # type: ignore[call-arg,arg-type]


def test_a_question_beside_another_is_a_plain_one_of_the_same_protocol() -> None:
    asked = DETECT.questions[0]
    with pytest.raises(InputError, match="beside 'unrelated' is no plain question of protocol 'alone'; it has none"):
        Protocol("alone", "", (asked,), ("none",))
    assert Protocol("pair", "", (asked, PLAIN), ("none",)).silent is False


def test_a_protocol_that_is_added_at_run_time_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    felt = Question("felt", "noticing", neutral("detect"), lambda _: [], beside="unrelated")
    with pytest.raises(InputError, match="unknown question 'felt'; known: detect"):
        kind_of("felt")
    monkeypatch.setitem(PROTOCOLS, "feeling", Protocol("feeling", "", (felt, UNRELATED), ("none",)))
    assert kind_of("felt") == "noticing"
    assert questions_of("noticing") == ["detect", "prior", "third-person", "felt"]


def test_a_function_is_a_grader_once_it_has_a_name_and_a_version() -> None:
    for name, version in (("", "1"), ("a,b", "1"), ("a", " ")):
        with pytest.raises(InputError, match="must be words without a comma"):
            FunctionGrader(name, version, lambda *_: Judgement())
