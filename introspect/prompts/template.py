"""Prompt templates: jinja2 files, shipped or the user's own, filled in inside a sandbox.

Goes in: a name or a path, and variables. Comes out: text in which `<<user>>` and the like start the messages.
"""

import hashlib
import re
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError
from jinja2 import Template as Compiled
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from introspect.errors import InputError, unknown
from introspect.prompts.time_limit import MOST_CHARACTERS, SECONDS, TooLongError, within

_SUFFIX = ".j2"
_LOOPS = re.compile(r"\b(for|macro|block|filter|call|loop)\b|[*|]")
"""What may repeat itself in a template: all else is as long as its source and its values."""


PADDING = ("center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map")


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, where a text cannot be multiplied into one that fills the memory."""

    intercepted_binops = frozenset(("*", "**", "%"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # Any: values of a template
        """Refuse products and paddings of texts and lists, and powers."""
        if operator == "**" or not all(isinstance(value, int | float) for value in (left, right)):
            raise SecurityError(f"the operator {operator} here: products are of numbers only, and there are no powers")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # Any: as above
        """Refuse the methods of texts that pad to any width."""
        return not (isinstance(obj, str) and attr in PADDING) and super().is_safe_attribute(obj, attr, value)


ENVIRONMENT = _Sandbox(undefined=StrictUndefined, autoescape=False)
for name in ("center", "format", "indent", "wordwrap"):  # each pads a text to any width in one step
    del ENVIRONMENT.filters[name]


@dataclass(frozen=True)
class Template:
    """The exact text of one question, with placeholders."""

    name: str
    """Name of the shipped template, or of the user's file without its suffix."""
    source: str

    @property
    def hash(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of the source."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]

    @property
    def comment(self) -> str:
        """Return the comment at the head of the file on one line, empty when there is none."""
        found = re.match(r"\s*\{#-?(.*?)-?#\}", self.source, re.DOTALL)
        return " ".join(found[1].split()) if found else ""

    def fill(self, **variables: object) -> str:
        """Fill in the placeholders; an undefined one, or one whose value holds `<<`, raises InputError."""
        for name, value in variables.items():
            if "<<" in str(value):
                raise InputError(f"template {self.name!r}: the value of {name!r} holds '<<', which is kept for marks")
        try:
            return self._rendered(variables)
        except TooLongError:
            raise InputError(f"template {self.name!r}: did not end within {SECONDS:.0f} s") from None
        except TemplateSyntaxError as error:
            raise InputError(f"template {self.name!r}, line {error.lineno}: {error.message}") from None
        except UndefinedError as error:
            given = ", ".join(variables) or "none"
            raise InputError(f"template {self.name!r}: {error.message}; variables given: {given}") from None
        except SecurityError as error:
            raise InputError(f"template {self.name!r}: not allowed in a template: {error}") from None
        except InputError:
            raise
        except Exception as error:  # a template is a program of the user's: whatever fails in it is bad input
            raise InputError(f"template {self.name!r} cannot be filled in: {type(error).__name__}: {error}") from None

    def _rendered(self, variables: dict[str, object]) -> str:
        """Render; a template that can repeat itself is watched, since it may come from a stranger's run."""
        with within() if _LOOPS.search(self.source) else nullcontext():
            parts: list[str] = []
            size = 0
            for part in _compiled(self.source).generate(variables):
                parts.append(part)
                size += len(part)
                if size > MOST_CHARACTERS:
                    raise InputError(f"template {self.name!r}: writes more than {MOST_CHARACTERS} characters")
        return "".join(parts)


@lru_cache(maxsize=256)
def _compiled(source: str) -> Compiled:
    """Compile a template once: a sweep fills each of them in thousands of times."""
    return ENVIRONMENT.from_string(source)


def template_named(name_or_path: str | Path) -> Template:
    """Return a shipped template by its name, or the one in a file (a path, or a name that ends in .j2)."""
    name = str(name_or_path)
    if isinstance(name_or_path, Path) or name.endswith(_SUFFIX) or "/" in name or "\\" in name:
        return Template(Path(name).stem, _read(Path(name)))
    shipped = _shipped()
    if name not in shipped:
        raise unknown("template", name, [*shipped, "or the path of a .j2 file"])
    return Template(name, shipped[name].read_text(encoding="utf-8"))


def template_names() -> dict[str, str]:
    """List the shipped templates: name -> the comment at its head."""
    return {name: template_named(name).comment for name in _shipped()}


def _shipped() -> dict[str, Traversable]:
    folder = files("introspect.prompts") / "templates"
    found = sorted(
        (file for file in folder.iterdir() if file.name.endswith(_SUFFIX)),
        key=lambda file: file.name.removesuffix(_SUFFIX),
    )
    return {file.name.removesuffix(_SUFFIX): file for file in found}


def _read(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"no template file {str(path)!r}; give a .j2 file, or one of {', '.join(_shipped())}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"template file {str(path)!r} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"template file {str(path)!r} cannot be read: {error.strerror}") from None
