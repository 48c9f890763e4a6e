"""What of a request an endpoint takes. In goes what it says about a request that it refuses; out comes a lesser one.

Everything is asked for until the endpoint itself says that it does not support it; each step down is told to the user.
"""

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from introspect.grading.judge.judge_settings import JudgeSettings
from introspect.grading.judge.replies import JudgeQuestion

Format = Literal["json_schema", "json_object", "none"]
LESSER: dict[Format, Format] = {"json_schema": "json_object", "json_object": "none"}

ABOUT_FORMAT = re.compile(
    r"response[_ ]format|json[_ ]schema|json[_ ]object|structured[_ ]outputs?|guided|grammar", re.IGNORECASE
)
ABOUT_TOKENS = re.compile(r"\bmax_tokens\b", re.IGNORECASE)
ABOUT_TEMPERATURE = re.compile(r"\btemperature\b", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """The form in which an endpoint is asked."""

    format: Format = "json_schema"
    tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name of the limit; reasoning models of OpenAI know only the second."""
    temperature: bool = True
    """Whether temperature 0 is asked for; some models take none but their own."""

    def __str__(self) -> str:
        """Say how was asked, as it is kept with each reply."""
        return f"{self.format}, {self.tokens}{'' if self.temperature else ', temperature left out'}"

    def arguments(self, question: JudgeQuestion, settings: JudgeSettings) -> dict[str, Any]:
        """Return the arguments of the call. Any: JSON."""
        asked: dict[str, Any] = {"model": settings.model, "messages": list(question.messages)}
        asked[self.tokens] = settings.asked["max_tokens"]
        if self.temperature:
            asked["temperature"] = settings.asked["temperature"]
        if self.format == "json_schema":
            schema = {"name": "verdict", "strict": True, "schema": json.loads(question.schema)}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self.format == "json_object":
            asked["response_format"] = {"type": "json_object"}
        return asked

    def conceding(self, said: str) -> "Dialect | None":
        """Return the lesser form that a refusal of the endpoint asks for, None where it is about something else."""
        if ABOUT_FORMAT.search(said) and self.format in LESSER:
            return replace(self, format=LESSER[self.format])
        if ABOUT_TOKENS.search(said) and self.tokens == "max_tokens" and "max_completion_tokens" in said:
            return replace(self, tokens="max_completion_tokens")
        if ABOUT_TEMPERATURE.search(said) and self.temperature:
            return replace(self, temperature=False)
        return None
