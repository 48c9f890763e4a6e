"""What the judge is asked and what it replies, and where replies are kept: by a hash of all that determines them."""

import hashlib
import json
from dataclasses import dataclass
from typing import Protocol

from introspect.grading.judge.judge_settings import JudgeSettings


@dataclass(frozen=True)
class JudgeQuestion:
    """What one answer is put to the judge as."""

    rubric: str
    """Name of the rubric."""
    rubric_hash: str
    messages: tuple[dict[str, str], ...]
    """Each with `role` and `content`."""
    schema: str
    """JSON schema of the reply, as canonical JSON."""

    def key(self, settings: JudgeSettings, model: str) -> str:
        """Hash all that determines the reply; `model` is the judge as it identifies itself."""
        asked = [model, settings.url, self.rubric_hash, self.messages, self.schema, settings.asked]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Reply:
    """What came back, as it was."""

    content: str | None
    """What the judge wrote; None where it wrote nothing."""
    refusal: str | None
    """The endpoint's own field for a judge that declines."""
    finish_reason: str | None
    """stop, length, content_filter, or whatever the endpoint says."""
    prompt_tokens: int | None
    """Tokens read; None where the endpoint does not count them."""
    completion_tokens: int | None
    cost: float | None
    """In the unit of the price; None where the price or the counts are not known."""
    model: str | None
    """The model that replied, as the endpoint names it."""
    asked_as: str
    """What of the request was taken: the response format, the name of the limit, and what was left out."""


class ReplyCache(Protocol):
    """Keeps replies by key, each of them safe once `put` has returned."""

    def get(self, key: str) -> Reply | None:
        """Return the reply kept under a key."""

    def put(self, key: str, question: JudgeQuestion, reply: Reply) -> None:
        """Keep a reply to a question."""


class Backend(Protocol):
    """Answers questions: an endpoint or a local model."""

    @property
    def identity(self) -> str:
        """Name the model that replies, weights included where they are at hand."""

    async def ask(self, question: JudgeQuestion) -> Reply:
        """Ask once, or until it is answered. Raises Unanswered where no reply is to be had."""

    async def close(self) -> None:
        """Let go of what was opened."""


class Unanswered(Exception):  # noqa: N818 (it is a state of one answer, no error of the program)
    """No reply to this question could be had; `state` is that of its grade."""

    def __init__(self, state: str, why: str) -> None:
        super().__init__(why)
        self.state = state
