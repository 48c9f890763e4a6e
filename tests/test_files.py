"""Tables as files: what is read back is what was written, whatever a model wrote."""

from pathlib import Path

import pandas as pd
import pytest

from introspect.results.store.csv_files import write_rows, write_table

ROWS = [
    ("a\rcarriage return", 1, None),
    ("two\nlines", 2, 'a "quote", and a comma'),
    ("ends\r\n", 3, "\r"),
    ("plain", 4, "NA"),
    ("\u2028\x00é", 5, "=1+1"),
]
COLUMNS = ["text", "number", "note"]


def test_any_text_comes_back_as_it_was(tmp_path: Path) -> None:
    table = pd.read_csv(write_rows(tmp_path, "t", COLUMNS, ROWS), keep_default_na=False, na_values=[""])
    assert table["text"].tolist() == [text for text, _, _ in ROWS]
    assert table["note"].fillna("missing").tolist() == [note or "missing" for _, _, note in ROWS]
    assert table["number"].tolist() == [number for _, number, _ in ROWS]


def test_row_by_row_and_at_once_give_the_same_bytes(tmp_path: Path) -> None:
    rows = write_rows(tmp_path, "rows", COLUMNS, ROWS)
    table = write_table(tmp_path, "table", pd.DataFrame(ROWS, columns=COLUMNS))
    assert rows.read_bytes() == table.read_bytes()


def test_a_row_ends_with_a_line_feed_alone(tmp_path: Path) -> None:
    assert write_rows(tmp_path, "t", ["a", "b"], [(1, "x")]).read_bytes() == b"a,b\n1,x\n"


def test_a_table_that_cannot_be_finished_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path) -> None:
    path = write_rows(tmp_path, "t", ["a"], [(1,)])
    with pytest.raises(ZeroDivisionError):
        write_rows(tmp_path, "t", ["a"], ((1 / n,) for n in (1, 0)))
    assert path.read_bytes() == b"a\n1\n"
    assert list(path.parent.iterdir()) == [path]
