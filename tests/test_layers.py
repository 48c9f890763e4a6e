"""A room imports itself and those to its left; heavy libraries stay where they are needed; only `cli` prints."""

import ast
import importlib.util
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(str(importlib.util.find_spec("introspect").origin)).parent  # type: ignore[union-attr]
FILES = sorted(PACKAGE.rglob("*.py"))
LAYERS = (
    ("errors", "letters", "whole_files"),
    ("records", "selection"),
    ("prompts",),
    ("models",),
    ("families", "protocols"),
    ("concepts",),
    ("injection.plan",),
    ("injection.prefix",),
    ("injection.step",),
    ("injection.answers",),
    ("injection.engine",),
    ("grading",),
    ("results.store",),
    ("results.statistics",),
    ("results.tables.trials",),
    ("results.tables.rates",),
    ("results.tables.effects",),
    ("results.tables",),
    ("results.figures",),
    ("experiment",),
    ("analyses",),
    ("report", "calibration"),
    ("cli",),
    ("__main__",),
)
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
LIGHT = (
    "records.trial",
    "selection",
    "prompts",
    "models.named",
    "models.organisms",
    "protocols",
    "concepts.sets",
    "concepts.pairs",
    "injection.plan.plan",
    "grading",
    "results.store.store",
    "results.tables.all_tables",
    "results.tables.inference",
    "results.figures.all_figures",
    "experiment.comparison",
    "experiment.options",
    "experiment.preconditions",
    "experiment.regrade",
    "experiment.variation",
    "experiment.run",
    "experiment.run_trial",
)
"""Modules that a laptop without torch can use."""
HEAVY = ("torch", "nnsight", "transformers")


@cache
def tree(source: str) -> ast.Module:
    """Parse a file once for all tests."""
    return ast.parse(source)


def room(module: str) -> str:
    """Return the room of a module that is named from the root; a floor of `injection` or `results` is a room itself."""
    rooms = sorted(RANK, key=len, reverse=True)
    return next((each for each in rooms if f"{module}.".startswith(f"{each}.")), module)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imports(source: str) -> Iterator[str]:
    """Yield the dotted name of every import, those inside functions included."""
    yield from imported(ast.walk(tree(source)))


def imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def run(source: str) -> Iterator[ast.AST]:
    """Yield every node but those that only a type checker reads."""
    left: list[ast.AST] = [tree(source)]
    while left:
        node = left.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            left += node.orelse
        else:
            left += ast.iter_child_nodes(node)


def crossings(importer: str, source: str) -> list[str]:
    """List the imports that a room may not make: of a room that is not to its left, relative, or of the root."""
    found = []
    for name in imported(run(source)):
        outside, _, module = name.partition("introspect")
        ours = not outside and (not module or module.startswith("."))
        if name.startswith(".") or (ours and not _may_import(importer, module[1:])):
            found.append(name)
    return found


def _may_import(importer: str, module: str) -> bool:
    home = room(module)
    return home == importer or (home in RANK and importer in RANK and RANK[home] < RANK[importer])


def modules_after(code: str) -> set[str]:
    """Run code in an interpreter of its own and give the libraries that it loaded."""
    code += "\nprint('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", f"import sys\n{code}"], capture_output=True, text=True, check=True)
    return set(ran.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_a_room_imports_only_itself_and_those_to_its_left(path: Path) -> None:
    if path != PACKAGE / "__init__.py":  # the public names, each loaded from its home when it is used
        assert crossings(room(module_of(path)), path.read_text()) == []


def test_the_rule_sees_every_way_to_import_the_wrong_room() -> None:
    sweep = "introspect.experiment.sweep"
    assert crossings("prompts", "def late():\n    import introspect.models.tap") == ["introspect.models.tap"]
    assert crossings("results.tables", f"from {sweep} import run_sweep") == [sweep]
    assert crossings("results.tables", "from introspect import sweep") == ["introspect"]
    assert crossings("results.tables", "from . import store") == ["."]
    assert crossings("results.tables", f"if TYPE_CHECKING:\n    pass\nelse:\n    import {sweep}") == [sweep]
    assert crossings("errors", "if TYPE_CHECKING:\n    from introspect.records.trial import Trial") == []
    assert crossings("results.tables", "from introspect.results.store import schema\nimport introspect.records") == []
    assert crossings("results.store", "import introspect.results.tables") == ["introspect.results.tables"]
    assert crossings("results.tables.rates", "import introspect.results.tables.effects.against") != []


def test_nothing_imports_through_a_link_at_the_root() -> None:
    links = {"injection", "concepts", "prompts", "grading", "results"}
    for path in FILES:
        assert not links & {name.partition(".")[0] for name in imports(path.read_text())}, path


def test_only_what_wraps_a_model_and_what_unwraps_it_imports_nnsight() -> None:
    importers = [path for path in FILES if any(name.startswith("nnsight") for name in imports(path.read_text()))]
    assert importers == [PACKAGE / "models" / name for name in ("bare_copy.py", "tap.py")]


def test_nothing_is_read_that_could_run_code() -> None:
    for path in FILES:
        source = path.read_text()
        assert not {"pickle", "dill", "joblib", "shelve", "marshal"} & set(imports(source)), path
        for call in (node for node in ast.walk(tree(source)) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "torch.load":  # which unpickles, unless it is told to read tensors alone
                assert any(ast.unparse(named) == "weights_only=True" for named in call.keywords), path
        assert "trust_remote_code=True" not in source, path


def test_only_the_command_line_prints() -> None:
    for path in FILES:
        for node in ast.walk(tree(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                assert room(module_of(path)) == "cli", f"{path}, line {node.lineno}"


FAMILY = {"adapter", "blocks", "checkpoint", "config", "model"}
"""Files that every family may have."""
ANALYSIS = {"cost", "curves", "figures", "page", "plan", "sentences", "tables"}
"""Files that every analysis may have; the suite itself has some of them too."""
STATISTIC_AND_TABLE = {"agreement", "capability"}
"""A table that is named like the statistic which it holds."""


def homes_of_stems() -> dict[str, list[str]]:
    homes: dict[str, list[str]] = {}
    for path in FILES:
        homes.setdefault(path.stem, []).append(str(path.parent.relative_to(PACKAGE)))
    return {stem: sorted(found) for stem, found in homes.items() if not stem.startswith("__")}


def public_names(source: str) -> Iterator[str]:
    """Yield what a module defines under a public name: functions, classes and constants."""
    for node in tree(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from [node.name] * (not node.name.startswith("_"))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                found = (each for each in ast.walk(target) if isinstance(each, ast.Name))
                yield from (each.id for each in found if isinstance(each.ctx, ast.Store) and each.id[0] != "_")


def test_a_file_name_says_which_file_it_is() -> None:
    for stem, homes in homes_of_stems().items():
        left = [home for home in homes if not _has_role(stem, home)]
        assert len(left) <= 1, f"{stem}.py stands in {', '.join(left)}: say what each is"


def _has_role(stem: str, home: str) -> bool:
    """Tell whether a file is named after the role that it plays in its room."""
    return (
        home == "cli"
        or (stem in FAMILY and home.startswith("families/"))
        or (stem in ANALYSIS and home.startswith("analyses/"))
        or (stem in STATISTIC_AND_TABLE and home in ("results/tables/rates", "results/statistics"))
    )


def test_a_public_name_is_defined_once_but_for_a_command_and_what_it_runs() -> None:
    homes: dict[str, list[str]] = {}
    for path in FILES:
        for name in set(public_names(path.read_text())):
            homes.setdefault(name, []).append(module_of(path))
    for name, found in homes.items():
        assert len([home for home in found if home != f"cli.{name}"]) <= 1, f"{name} is defined in {', '.join(found)}"


def test_public_names_are_found_in_every_form() -> None:
    source = (
        "A = 1\nB: int = 2\nC, (D, _E) = 1, (2, 3)\n_F = 1\ndef g(h=1): i = 2\nclass J: k = 1\ndef _l(): pass\nm.n = 1"
    )
    assert sorted(public_names(source)) == ["A", "B", "C", "D", "J", "g"]


@pytest.mark.filterwarnings("default")
def test_every_function_is_of_a_size_that_can_be_read_and_long_files_are_named() -> None:
    for path in FILES:
        source = path.read_text()
        if (length := len(source.splitlines())) > 250:
            warnings.warn(f"{path.relative_to(PACKAGE)} has {length} lines: is it one idea?", stacklevel=1)
        for node in ast.walk(tree(source)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                assert node.end_lineno - node.lineno < 60, f"{path}: {node.name}"


def test_tables_figures_and_grades_need_no_torch() -> None:
    loaded = modules_after("\n".join(f"import introspect.{name}" for name in LIGHT))
    assert not loaded & set(HEAVY)
    assert "pandas" in loaded


def test_help_loads_nothing_heavy() -> None:
    code = "from introspect.cli import app\nsys.argv = ['introspect', '--help']\napp(standalone_mode=False)"
    loaded = modules_after(code)
    assert "typer" in loaded
    assert not loaded & {*HEAVY, "pandas", "numpy", "matplotlib", "seaborn", "scipy"}
