"""The tables of a report in LaTeX: they hold what the page holds, escape everything, and compile."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import fill, new_store, trial

from introspect.report.findings import Findings
from introspect.report.latex import ROWS, escape, latex_tables, tabular
from introspect.report.sheets import Sheet
from introspect.report.writing import write_latex
from introspect.results.store.store import Store

ENGINE = next(filter(None, map(shutil.which, ("pdflatex", "tectonic", "xelatex", "lualatex"))), None)
HOSTILE = (
    "50% of $x_1 & {y}^2 # ~a\\b\\input{/etc/passwd} <z> \"q\" 'r' `s` [t] -- Ünï \u202e \x1b 🙂 \u2212 \u2013 “u”"
)


def compiled(folder: Path) -> str:
    """Compile `report.tex` and give the log. Raises if it cannot be compiled."""
    assert ENGINE is not None
    options = [] if Path(ENGINE).name == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    ran = subprocess.run([ENGINE, *options, "report.tex"], cwd=folder, capture_output=True, timeout=120, check=False)
    log = ran.stdout.decode(errors="replace")
    assert ran.returncode == 0, log[-2000:]
    assert (folder / "report.pdf").is_file()
    return log


needs_latex = pytest.mark.skipif(
    ENGINE is None, reason="no LaTeX on this machine (pdflatex, tectonic, xelatex, lualatex)"
)


@needs_latex
def test_the_tables_of_a_run_compile(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        written = write_latex(Findings(store))
    assert {"counts.tex", "controls.tex", "doses.tex", "report.tex"} <= {path.name for path in written}
    log = compiled(tmp_path / "run" / "tables")
    assert "undefined" not in log
    assert "Missing character" not in log


@needs_latex
def test_what_a_user_may_name_a_thing_compiles(tmp_path: Path) -> None:
    with new_store(tmp_path / "run", {"model": HOSTILE}) as store:
        fill(store, [trial(template=HOSTILE, question=HOSTILE), trial(template="[", question="]")])
        write_latex(Findings(store))
    compiled(tmp_path / "run" / "tables")


@given(st.text(st.sampled_from("\\&%$#_{}~^<>|[]`'\"\n-") | st.characters()))
def test_escaped_text_is_plain_letters_and_balanced_braces(text: str) -> None:
    written = escape(text)
    assert all(" " <= character <= "~" for character in written)
    bare = re.sub(r"\\[&%$#_{}]|\\`|\$-\$|\$\\times\$|\\[a-z]+(?=\{)", "", written)
    assert not set(bare) & set("\\&%$#_^~")
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)), st.text())
def test_escaping_goes_character_by_character(first: str, second: str) -> None:
    assert escape(first + second) == escape(first) + escape(second)


def test_rates_come_with_counts_interval_and_bounds(tmp_path: Path) -> None:
    with new_store(tmp_path / "run") as store:
        words = ["dust", "snow", "rain", "salt", "moss", "iron"]
        fill(store, [trial(concept=word) for word in words], [True, True, True, False, False, None])
        tables = latex_tables(Findings(store))
    row = next(line for line in tables["controls"].splitlines() if "& concept vector &" in line)
    cells = row.removesuffix(" \\\\").split(" & ")
    assert cells[:4] == ["detected", "concept vector", "3/5", "60.0\\%"]
    assert cells[4] == "15.3\\% to 92.6\\%"
    assert cells[5:] == ["1", "50.0\\% to 66.7\\%", "0"]
    assert "\\toprule" in tables["controls"]
    assert "\\input{controls.tex}" in tables["report"]


def test_many_rows_go_into_several_tables_and_none_is_lost() -> None:
    rows = tuple((f"row{place}", "x") for place in range(2 * ROWS + 1))
    made = tabular(Sheet("many", "Many", ("name", "value"), rows))
    assert made.count("\\begin{table}") == made.count("\\end{table}") == 3
    assert re.findall(r"row\d+", made) == [name for name, _ in rows]
    assert "Many (3 of 3)." in made


def test_an_empty_run_has_a_document_that_says_so(tmp_path: Path) -> None:
    with new_store(tmp_path / "run") as store:
        (document,) = latex_tables(Findings(store)).values()
    assert "This run is empty" in document
