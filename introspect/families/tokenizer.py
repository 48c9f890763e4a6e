"""The tokenizer of a model: its own, or one from a place of its own, read as it stands and held against the embedding.

Takes names and the model's config. Returns a tokenizer with a chat format, or what takes drawn tokens apart.
"""

from typing import Any

from transformers import PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.families.gguf import checkpoint
from introspect.families.quiet import quiet
from introspect.models.chat import with_chat
from introspect.models.named import is_gguf, place_of, tokenizer_place
from introspect.prompts.turns import Turns


def read_tokenizer(name: str, source: str, revision: str, other: str | None, config: Any) -> PreTrainedTokenizerFast:
    """Read the tokenizer of a model.

    Args:
        name: what the user calls the model.
        source: the model's folder, GGUF file or hub id.
        revision: branch, tag or commit of a hub id.
        other: where another tokenizer is, which is then read in place of the model's own.
        config: the model's config. Any: of whichever family.

    Raises InputError for a tokenizer that cannot be read, and for ids that have no row in the embedding.
    """
    if other is None:
        called, tokenizer = "its tokenizer", _read(source, revision, f"model {name!r}")
    else:
        called = f"tokenizer {other!r}"
        tokenizer = _read(tokenizer_place(other), "main", called)
    _check_ids(tokenizer, config, name, called)
    return tokenizer


def turns_of(name: str, *, revision: str | None = None, tokenizer: str | None = None) -> Turns:
    """Return what takes a model's drawn tokens apart, without its weights."""
    with quiet():
        if tokenizer is not None:
            return Turns(_read(tokenizer_place(tokenizer), "main", f"tokenizer {tokenizer!r}"))
        return Turns(_read(place_of(name, revision), revision or "main", f"model {name!r}"))


def _read(source: str, revision: str, called: str) -> PreTrainedTokenizerFast:
    """Read tokenizer.json exactly as it stands, whichever class the checkpoint names."""
    if is_gguf(source):
        return with_chat(checkpoint.tokenizer_of(source))
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(source, revision=revision)
    except Exception as error:  # the reader of tokenizer.json raises whatever, plain Exception included
        elsewhere = "; --tokenizer names where one is" if called.startswith("model") else ""
        raise InputError(f"{called} has no tokenizer that can be read (tokenizer.json){elsewhere}") from error
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    if not tokenizer("a b", add_special_tokens=False)["input_ids"]:
        raise InputError(f"{called}: its tokenizer has no tokens for text (tokenizer.json)")
    return with_chat(tokenizer)


def _check_ids(tokenizer: PreTrainedTokenizerFast, config: Any, name: str, called: str) -> None:
    """Refuse a tokenizer, `called` so, with ids that have no row in the embedding: a prompt could not be embedded."""
    rows = getattr(config, "padded_vocab_size", None) or getattr(config, "vocab_size", None)
    largest = max(tokenizer.get_vocab().values(), default=0)
    if isinstance(rows, int) and largest >= rows:
        raise InputError(f"model {name!r}: {called} has ids up to {largest}, its embedding {rows} rows (vocab_size)")
