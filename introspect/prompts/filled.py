"""The prompts of a sweep, each filled in and tokenized when it is first asked for.

Goes in: templates and a tokenizer. Come out: encoded prompts, by the template's hash and what it is filled in with.
"""

from collections.abc import Iterable

from introspect.errors import unknown
from introspect.prompts.rendering import Prompt, render
from introspect.prompts.spans import Encoded, Tokenizer, encode
from introspect.prompts.template import Template

_Key = tuple[str, tuple[tuple[str, str], ...]]
"""Hash of a template, and its variables sorted by name."""


class Prompts(dict[_Key, Encoded]):
    """Encoded prompts; one that is missing is made."""

    def __init__(self, templates: Iterable[Template], tokenizer: Tokenizer) -> None:
        super().__init__()
        self._templates = {template.hash: template for template in templates}
        self._tokenizer = tokenizer

    def __missing__(self, key: _Key) -> Encoded:
        """Make a prompt. Raises InputError for a template that is not among those given."""
        self[key] = encode(self.rendered(key), self._tokenizer)
        return self[key]

    def rendered(self, key: _Key) -> Prompt:
        """Return a prompt as messages. Raises InputError as above."""
        template_hash, variables = key
        if template_hash not in self._templates:
            raise unknown("template hash", template_hash, self._templates)
        return render(self._templates[template_hash], **dict(variables))
