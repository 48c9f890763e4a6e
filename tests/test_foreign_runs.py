"""A run folder from elsewhere: of whatever is damaged, every command says in one line what is wrong."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from commanded import arguments, introspect, refused
from swept import SMALL

from introspect.errors import InputError
from introspect.experiment.run import Run

Damage = Callable[[Path], object]


def sql(*statements: str) -> Damage:
    def damage(folder: Path) -> None:
        database = sqlite3.connect(folder / "run.sqlite")
        for statement in statements:
            database.execute(statement)
        database.commit()
        database.close()

    return damage


def manifest(entry: str, value: object) -> Damage:
    return sql(f"UPDATE run SET manifest = json_set(manifest, '$.{entry}', json('{json.dumps(value)}'))")


def replaced(content: bytes) -> Damage:
    return lambda folder: (folder / "run.sqlite").write_bytes(content)


def cut(folder: Path) -> None:
    (folder / "run.sqlite").write_bytes((folder / "run.sqlite").read_bytes()[:20_000])


def of_another_application(folder: Path) -> None:
    (folder / "run.sqlite").unlink()
    sql("CREATE TABLE run (name)", "CREATE TABLE recipes (name)")(folder)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no table": (sql("DROP TABLE grades"), "has no table 'grades'"),
    "no column": (sql("ALTER TABLE readouts DROP COLUMN mass"), "table 'readouts' has no column 'mass'"),
    "no row of its own": (sql("DELETE FROM run"), "table 'run' has no row and should have one"),
    "two rows of its own": (sql("INSERT INTO run SELECT * FROM run"), "table 'run' has several rows"),
    "version as text": (sql("UPDATE run SET schema_version = 'x'"), "has schema version x"),
    "another application": (of_another_application, "damaged or written by something else"),
    "no database": (replaced(b"hello" * 1000), "damaged or not a run"),
    "cut off": (cut, "damaged or not a run"),
    "manifest no JSON": (sql("UPDATE run SET manifest = 'nope'"), "manifest is not JSON"),
    "manifest a list": (sql("UPDATE run SET manifest = '[]'"), "manifest is [], not a JSON object"),
    "manifest bad UTF-8": (sql("UPDATE run SET manifest = CAST(x'ff41' AS TEXT)"), "could not decode to utf-8"),
    "templates a list": (manifest("templates", []), "manifest has templates [], which is of the wrong type"),
    "template cut": (manifest("templates", {"a": ["b"]}), "which is of the wrong type"),
    "model a number": (manifest("model", 3), "manifest has model 3"),
    "sites a text": (manifest("sites", "0:0"), 'manifest has sites "0:0"'),
    "vectors without words": (manifest("vectors", {}), "manifest has vectors {}"),
    "answer bad UTF-8": (sql("UPDATE responses SET text = CAST(x'ff41' AS TEXT)"), "could not decode"),
    "answer a blob": (
        sql("UPDATE responses SET text = x'00ff' WHERE n = 1"),
        "holds X'00FF' (blob)",
    ),
    "edited concept": (sql("UPDATE trials SET concept = 'lava' WHERE n = 1"), "is not what its id says"),
    "seed a text": (sql("UPDATE trials SET seed = 'abc' WHERE n = 1"), "'seed' of table 'trials' holds 'abc'"),
    "repeat a text": (sql("UPDATE trials SET repeat = 'x' WHERE n = 1"), "'repeat' of table 'trials'"),
    "options no JSON": (sql("UPDATE trials SET options = '[' WHERE n = 1"), "'options' of table 'trials'"),
    "variables a list": (sql("UPDATE trials SET variables = '[1]' WHERE n = 1"), "'variables' of table 'trials'"),
    "cell empty": (sql("UPDATE cells SET json = '{}' WHERE cell = 1"), "cell 1 of table 'cells' does not"),
    "cell no JSON": (sql("UPDATE cells SET json = 'x' WHERE cell = 1"), "'json' of table 'cells' holds 'x'"),
    "unknown arm": (sql("UPDATE cells SET arm = 'x' WHERE cell = 1"), "'arm' of table 'cells' holds 'x'"),
    "edited column": (
        sql("UPDATE cells SET dtype = 'x' WHERE cell = 1"),
        "cell 1 of table 'cells' does not",
    ),
    "strength a text": (sql("UPDATE cells SET strength = 'x'"), "'strength' of table 'cells' holds 'x'"),
    "mass a text": (sql("UPDATE readouts SET mass = 'much' WHERE n = 1"), "'mass' of table 'readouts' holds 'much'"),
    "tokens no JSON": (sql("UPDATE responses SET token_ids = 'x' WHERE n = 1"), "'token_ids' of table 'responses'"),
    "verdict a text": (sql("UPDATE grades SET detected = 'maybe' WHERE n = 1"), "'detected' of table 'grades'"),
    "verdict 2": (sql("UPDATE grades SET detected = 2 WHERE n = 1"), "'detected' of table 'grades' holds 2"),
    "no such trial": (sql("PRAGMA foreign_keys = OFF", "DELETE FROM trials WHERE n = 1"), "that is not there"),
    "outcome lost": (
        sql("DELETE FROM readouts", "DELETE FROM grades", "DELETE FROM measures", "DELETE FROM responses"),
        "neither a response nor an error",
    ),
}
ONLY_CHECKED = {"outcome lost"}
"""What only `show --check` looks for: a sweep that was killed could not leave it behind."""
COMMANDS: dict[str, tuple[object, ...]] = {
    **{name: (name, "RUN") for name in ("table", "plot", "report", "best", "label", "agree", "grade")},
    "show": ("show", "RUN", "TRIAL"),
    "power": ("power", "--pilot", "RUN"),
    "sweep": ("sweep", "TINY", *arguments(SMALL), "--out", "RUN"),
    **{name: (name, "--run", "RUN", "--dry-run") for name in ("dynamics", "trajectory")},
    "monitor": ("monitor", "--injected", "--run", "RUN", "--dry-run"),
}
BY_EVERY_COMMAND = ("no table", "two rows of its own", "manifest no JSON", "templates a list", "another application")
"""What is seen when a run is opened, whoever opens it."""


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("figures", "tables")
    return Path(shutil.copytree(finished, tmp_path / "run", ignore=ignored))


def first_trial(folder: Path) -> str:
    database = sqlite3.connect(folder / "run.sqlite")
    ((trial_id,),) = database.execute("SELECT id FROM trials WHERE n = 1")
    database.close()
    return str(trial_id)


def test_a_run_as_it_was_written_is_whole(finished: Path) -> None:
    code, out, err = introspect("show", finished, "--check")
    assert (code, err) == (0, "")
    assert "run.sqlite: whole; " in out


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_run_is_refused_by_its_check_and_by_its_tables(run: Path, name: str) -> None:
    damage, said = DAMAGES[name]
    damage(run)
    lines = [refused("show", run, "--check")]
    lines += [] if name in ONLY_CHECKED else [refused("table", run)]
    for line in lines:
        assert str(run / "run.sqlite") in line
        assert said.casefold() in line.casefold()
    with pytest.raises(InputError, match=r"run\.sqlite"), Run.open(run) as opened:
        opened.check()


@pytest.mark.parametrize("name", BY_EVERY_COMMAND)
def test_every_command_refuses_what_no_run_has(run: Path, tiny: Path, name: str) -> None:
    trial_id = first_trial(run)
    damage, said = DAMAGES[name]
    damage(run)
    for command in COMMANDS.values():
        words = [{"RUN": run, "TINY": tiny, "TRIAL": trial_id}.get(str(word), word) for word in command]
        assert said in refused(*words), command


@pytest.mark.parametrize("name", ["edited concept", "seed a text", "variables a list", "tokens no JSON", "cell empty"])
def test_a_single_trial_that_was_changed_is_not_shown(run: Path, name: str) -> None:
    trial_id = first_trial(run)
    DAMAGES[name][0](run)
    assert "a stored row cannot be read" in (line := refused("show", run, trial_id)) or "holds" in line


def test_an_entry_that_a_manifest_lacks_is_named(run: Path) -> None:
    trial_id = first_trial(run)
    sql("UPDATE run SET manifest = '{}'")(run)
    assert "the run's manifest has no 'templates'" in refused("show", run, trial_id)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [("[]", "is no JSON object"), ("{}", "name is missing"), ("x", "holds no analysis"), ("[" * 10**5, "no analysis")],
)
def test_a_damaged_analysis_is_named_by_the_report(run: Path, said: str, wrong: str) -> None:
    folder = run / "analyses" / "monitor"
    folder.mkdir(parents=True)
    (folder / "analysis.json").write_text(said)
    assert wrong in refused("report", run)
