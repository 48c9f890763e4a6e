"""The follow-up notebook runs from its first cell to its last without a warning, on a run of the tiny model."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "follow_up.ipynb"


@pytest.fixture(scope="module")
def executed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """Execute the notebook on the finished run; inside it every warning is an error."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source = f"import warnings\n\nwarnings.simplefilter('error')\nRUN = {str(finished)!r}"
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path_factory.mktemp("cwd")}})
    return client.execute()


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_it_runs_to_its_end_and_draws_both_figures(executed: NotebookNode) -> None:
    shown = [output.data for output in outputs(executed) if "data" in output]
    assert sum("image/png" in data for data in shown) == 2
    assert sum("text/html" in data for data in shown) == 3  # rates, trials, grades
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs(executed))


def test_it_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
