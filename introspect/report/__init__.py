"""The report of a run: one self-contained HTML page, and its tables in LaTeX. In goes a store, out come files."""
