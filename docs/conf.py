"""Sphinx settings. Two pages of the reference and a table are written anew from the code at every build."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from columns_page import write_columns
from families_table import write_families

project = "introspect"
copyright = "the introspect authors"
html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the tests run the notebooks; the pages show them as they are kept
autodoc_typehints = "description"
autodoc_member_order = "bysource"
exclude_patterns = ["_build", "reference/families_table.md"]  # the table is included by families.md
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]

REFERENCE = Path(__file__).parent / "reference"
COMMANDS = [sys.executable, "-m", "typer", "introspect.cli.app", "utils", "docs", "--name", "introspect"]


def setup(_: object) -> None:
    """Write what comes from the code: commands with their options, the columns of tables, the table of families."""
    said = subprocess.run(COMMANDS, capture_output=True, text=True, check=True).stdout
    page = said.replace("# `introspect`", "# Commands", 1).replace("**Usage**:", "Usage:").replace("console", "text")
    (REFERENCE / "commands.md").write_text(page, encoding="utf-8")
    write_columns(REFERENCE / "columns.md")
    write_families(REFERENCE / "families_table.md")
