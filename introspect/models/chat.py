"""The chat format of a tokenizer that has none: a plain dialogue, for models that were never tuned for chat."""

from typing import Literal

from transformers import PreTrainedTokenizerFast

ChatFormat = Literal["chatml", "plain", "the tokenizer's"]

PLAIN_CHAT = (
    "{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}"
    "{% if add_generation_prompt or not loop.last %}{{ '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""Each message as `Role: content` on a line of its own, then the opening of an answer; one that goes on stays open."""
BEGINNING = "{{ bos_token }}"


def with_chat(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Return a tokenizer without chat template the plain one, behind the beginning token where it writes one itself."""
    if tokenizer.chat_template is None:
        tokenizer.chat_template = BEGINNING * _writes_beginning(tokenizer) + PLAIN_CHAT
    return tokenizer


def chat_format(tokenizer: PreTrainedTokenizerFast) -> ChatFormat:
    """Name the format in which a tokenizer writes chats."""
    template = str(tokenizer.chat_template)
    if template.removeprefix(BEGINNING) == PLAIN_CHAT:
        return "plain"
    return "chatml" if "<|im_start|>" in template else "the tokenizer's"


def _writes_beginning(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Say whether any text that is encoded begins with the tokenizer's beginning token."""
    first: list[int] = tokenizer("a").input_ids[:1]
    return tokenizer.bos_token is not None and first == [tokenizer.bos_token_id]
