"""The texts that are run through the loops: a file of the user, or the prompts that concept vectors are made from."""

from pathlib import Path

from introspect.analyses.subject import Subject
from introspect.concepts.rows import read_table
from introspect.errors import InputError


def read_texts(path: Path) -> list[str]:
    """Read texts: of a .csv file the column `text`, of any other a line each, empty ones left out."""
    if not path.is_file():
        raise InputError(f"texts: there is no file {str(path)!r}; it should be a .txt, one a line, or a .csv")
    if path.suffix == ".csv":
        rows = [row.fields["text"] for row in read_table(path, ("text",), kind="texts", shipped=()).rows]
    else:
        rows = _lines(path)
    texts = [text for text in rows if text.strip()]
    if not texts:
        raise InputError(
            f"texts: {str(path)!r} holds none; it should be a .txt, one a line, or a .csv with column text"
        )
    return texts


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"texts: {str(path)!r} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"texts: {str(path)!r} cannot be read ({error.strerror})") from None


def texts_of(subject: Subject) -> list[str]:
    """Write down the contrastive prompts of the concepts and of the baseline, as chats."""
    looped, contrast = subject.tap.looped, subject.laboratory.contrast
    return [looped.chat(prompt.messages, continue_=prompt.continues) for prompt in contrast.prompts]
