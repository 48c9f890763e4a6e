"""The notebooks run from their first cell to their last without a warning, on tiny models and few concepts."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NAMES = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]


def execute(name: str, parameters: str, folder: Path) -> NotebookNode:
    """Execute a notebook with other parameters; inside it every warning is an error."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = f"import warnings\n\nwarnings.simplefilter('error')\n{parameters}"
    return NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()


@pytest.fixture(scope="module")
def executed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """Execute the notebook that follows a trial up, on the finished run."""
    return execute("follow_up", f"RUN = {str(finished)!r}", tmp_path_factory.mktemp("cwd"))


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_a_trial_is_followed_up_with_both_figures(executed: NotebookNode) -> None:
    shown = [output.data for output in outputs(executed) if "data" in output]
    assert sum("image/png" in data for data in shown) == 2
    assert sum("text/html" in data for data in shown) == 3  # rates, trials, grades
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs(executed))


@pytest.mark.slow  # test_public_face walks the same chain
@pytest.mark.parametrize(
    ("name", "parameters", "shown"),
    [
        ("chain", "RUN = 'run'", {"text/html": 2, "image/png": 1}),
        ("compare", "RUNS = {'organism:aware': 'aware', 'organism:blind': 'blind'}", {"text/html": 2, "image/png": 1}),
    ],
)
def test_the_chain_is_walked_and_two_runs_are_compared(
    name: str, parameters: str, shown: dict[str, int], tmp_path: Path
) -> None:
    made = outputs(execute(name, parameters, tmp_path))
    assert {kind: sum(kind in output.get("data", {}) for output in made) for kind in shown} == shown
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in made)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_without_outputs(name: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
