"""The tables of a report in LaTeX, with booktabs. In go findings, out come the texts of files by name.

`report` is a document that holds all of them; the others are for \\input. Every text is escaped: what pdflatex has no
letter for is written as its number, so that the files compile with any engine.
"""

from collections.abc import Iterator, Sequence

from introspect.report import rate_sheets, setup_sheets
from introspect.report.findings import Findings
from introspect.report.headline import headline
from introspect.report.numbers import escaped
from introspect.report.sheets import Sheet
from introspect.report.statistic_sheets import inferred
from introspect.results.tables.trials.absence import said_absent

DOCUMENT = "report"
ROWS = 40
"""Rows of one table; more go into another, on a page of its own."""
WIDE = 85
"""Characters of a line above which a table is shrunk to the width of the text."""
COMMANDS = {
    **{each: f"\\{each}" for each in "&%$#_{}"},
    **{"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"},
    **{"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", '"': "\\textquotedblright{}", "'": "{'}"},
    **{"\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--", "\N{EM DASH}": "---", "\N{MULTIPLICATION SIGN}": "$\\times$"},
    **{"\N{LEFT DOUBLE QUOTATION MARK}": "``", "\N{RIGHT DOUBLE QUOTATION MARK}": "''", "`": "\\`{}"},
    **{"[": "{[}", "]": "{]}", "\n": " ", "-": "{-}"},
}
"""Of characters that are not themselves; a bracket after a line's end would be read as its option."""


def latex_tables(found: Findings) -> dict[str, str]:
    """Make all tables that the run can have, and the document that holds them."""
    sheets = (
        []
        if found.is_empty
        else [setup_sheets.trial_counts(found), *rate_sheets.controls(found), rate_sheets.doses(found)]
    )
    kept = [each for each in (*sheets, *inferred(found).values()) if each is not None and each.rows]
    tables = {each.name: tabular(each) for each in kept}
    lacking = said_absent(found.summaries.absent)
    sentences = [setup_sheets.standing(found), *headline(found), *([f"Not made: {lacking}."] if lacking else [])]
    return {**tables, DOCUMENT: _document(sentences, list(tables))}


def tabular(sheet: Sheet) -> str:
    """Write a sheet as one table, or as several where it has many rows."""
    return "\n\\clearpage\n".join(_tables(sheet))


def escape(text: str) -> str:
    """Write text so that LaTeX prints it and does nothing else."""
    return "".join(COMMANDS.get(c, c) if c in COMMANDS or c.isascii() else _numbered(c) for c in escaped(text))


def _numbered(character: str) -> str:
    return f"\\texttt{{U+{ord(character):04X}}}"


def _tables(sheet: Sheet) -> Iterator[str]:
    chunks = [sheet.rows[start : start + ROWS] for start in range(0, len(sheet.rows), ROWS)]
    for place, rows in enumerate(chunks):
        more = f" ({place + 1} of {len(chunks)})" if len(chunks) > 1 else ""
        label = f"tab:{sheet.name}" + (f"-{place + 1}" if place else "")
        note = f" {sheet.note}" if sheet.note and place == 0 else ""
        title = f"{sheet.title}{more}" + ("" if sheet.title.endswith("?") else ".")
        yield _table(f"{title}{note}", label, sheet.header, rows)


def _table(caption: str, label: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [
        f"\\begin{{tabular}}{{@{{}}{'l' * len(header)}@{{}}}}",
        "\\toprule",
        _line(header),
        "\\midrule",
        *map(_line, rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    width = sum(max(map(len, column)) + 2 for column in zip(header, *rows, strict=True))
    if width > WIDE:
        lines = ["\\resizebox{\\linewidth}{!}{%", *lines[:-1], f"{lines[-1]}}}"]
    return "\n".join(
        [
            "% needs booktabs and graphicx",
            "\\begin{table}[htbp]",
            "\\centering\\small",
            f"\\caption{{{escape(caption)}}}\\label{{{label}}}",
            *lines,
            "\\end{table}",
            "",
        ]
    )


def _line(texts: Sequence[str]) -> str:
    return " & ".join(map(escape, texts)) + " \\\\"


def _document(sentences: Sequence[str], names: Sequence[str]) -> str:
    inputs = [line for name in names for line in (f"\\input{{{name}.tex}}", "\\clearpage")]
    return "\n".join(
        [
            "% all tables of the report; compile it in this folder",
            "\\documentclass{article}",
            "\\usepackage{booktabs,graphicx}",
            "\\begin{document}",
            *(f"{escape(sentence)}\n" for sentence in sentences),
            *inputs,
            "\\end{document}",
            "",
        ]
    )
