"""The judge's replies beside a run: `<run>/judgements.sqlite`, one row a question, on the disk before it is read.

Replies are kept by the hash of all that determines them; grades are made from them again at any time, at no cost.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from introspect.grading.judge.replies import JudgeQuestion, Reply
from introspect.results.store.connection import connect, errors_explained, transaction

FILE = "judgements.sqlite"
REPLY = "content, refusal, finish_reason, prompt_tokens, completion_tokens, cost, model, asked_as"
TABLE = """CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, at TEXT NOT NULL, judge TEXT NOT NULL, url TEXT, rubric TEXT NOT NULL,
    rubric_hash TEXT NOT NULL, content TEXT, refusal TEXT, finish_reason TEXT, prompt_tokens INTEGER,
    completion_tokens INTEGER, cost REAL, model TEXT, asked_as TEXT NOT NULL) WITHOUT ROWID"""


class Judgements:
    """The replies of a run, open for reading and writing; whoever holds the run open for writing may open it."""

    def __init__(self, folder: Path, *, judge: str, url: str | None) -> None:
        """Open or make the file; `judge` and `url` are noted with the replies that are added."""
        self.path, self._asked = folder / FILE, (judge, url)
        self._database = connect(self.path, write=True)
        try:
            with transaction(self._database, self.path):
                self._database.execute(TABLE)
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        """Return the replies themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._database.close()

    def get(self, key: str) -> Reply | None:
        """Return the reply kept under a key."""
        with errors_explained(self.path):
            row = self._database.execute(f"SELECT {REPLY} FROM replies WHERE key = ?", (key,)).fetchone()
        return None if row is None else Reply(*row)

    def put(self, key: str, question: JudgeQuestion, reply: Reply) -> None:
        """Keep a reply, in a transaction of its own."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        values = (
            *(key, at, *self._asked, question.rubric, question.rubric_hash),
            *(reply.content, reply.refusal, reply.finish_reason, reply.prompt_tokens, reply.completion_tokens),
            *(reply.cost, reply.model, reply.asked_as),
        )
        with transaction(self._database, self.path):
            self._database.execute(f"INSERT OR REPLACE INTO replies VALUES (?{', ?' * (len(values) - 1)})", values)

    def count(self) -> int:
        """Count the replies."""
        with errors_explained(self.path):
            return int(self._database.execute("SELECT count(*) FROM replies").fetchone()[0])
