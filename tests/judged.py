"""Makers for tests of the judge: replies, a scripted endpoint that fails as told, and a run whose answers it grades."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from made import grade, new_store, response, trial

from introspect.grading.judge.judge_settings import JudgeSettings
from introspect.grading.judge.replies import Reply

ANSWER = "Yes. It is about dust."
QUOTES = {"refused_quote": "", "detected_quote": "Yes.", "identified_quote": "It is about dust."}
YES = {"why": "it says so", "coherent": "yes", "refused": "no", "detected": "yes", "identified": "yes", **QUOTES}
NO = {**YES, "detected": "no", "identified": "no", "detected_quote": "", "identified_quote": ""}

Step = Callable[["Handler"], None]


def reply(content: str | dict[str, Any] | None = None, **changes: Any) -> Reply:
    """Make a reply; a dict is written as JSON."""
    text = json.dumps(YES if content is None else content) if not isinstance(content, str) else content
    fields = {"content": text, "refusal": None, "finish_reason": "stop", "prompt_tokens": 100}
    return Reply(
        **{**fields, "completion_tokens": 20, "cost": None, "model": "m", "asked_as": "json_schema", **changes}
    )


def settings(url: str | None, **changes: Any) -> JudgeSettings:
    """Make settings that do not wait long."""
    return JudgeSettings(**{"model": "m", "url": url, "timeout": 5.0, "concurrency": 4, **changes})


def verdict(values: dict[str, str] | str = YES, *, finish: str = "stop", **message: Any) -> Step:
    """Answer a question with a verdict."""
    content = values if isinstance(values, str) else json.dumps(values)
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m-1", "choices": [choice], "usage": usage}
    return lambda handler: handler.send(200, body)


def status(number: int, /, said: str = "broken", headers: dict[str, str] | None = None, **error: Any) -> Step:
    """Answer with an error."""
    return lambda handler: handler.send(number, {"error": {"message": said, **error}}, headers or {})


def hang(seconds: float) -> Step:
    """Answer nothing for so long, then close the connection."""

    def step(handler: "Handler") -> None:
        handler.server.over.wait(seconds)  # type: ignore[attr-defined]
        handler.close_connection = True

    return step


def cut(handler: "Handler") -> None:
    """Promise more than is sent, and close the connection."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def text(content: str) -> Step:
    """Answer with something that is no JSON at all."""
    return lambda handler: handler.send(200, content)


@dataclass
class Script:
    """What an endpoint does, question by question, and what it was sent."""

    steps: list[Step] = field(default_factory=list)
    """What it does in turn; the last goes on."""
    models: Step = field(default=lambda handler: handler.send(200, {"object": "list", "data": [{"id": "m"}]}))
    asked: list[dict[str, Any]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


class Handler(BaseHTTPRequestHandler):
    """Plays a script."""

    protocol_version = "HTTP/1.1"
    script: Script

    def do_GET(self) -> None:
        self.script.models(self)

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.guard:  # type: ignore[attr-defined]
            step = self.script.steps[min(len(self.script.asked), len(self.script.steps) - 1)]
            self.script.asked.append(sent)
            self.script.at.append(time.monotonic())
            self.script.keys.append(self.headers["Authorization"])
        step(self)

    def send(self, code: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Serves a script, and does not mind a client that goes away."""

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def endpoint(*steps: Step, models: Step | None = None, port: int = 0) -> Iterator[Script]:
    """Run a scripted endpoint on this machine."""
    script = Script([*steps], **({} if models is None else {"models": models}))
    server = Server(("127.0.0.1", port), type("Playing", (Handler,), {"script": script}))
    server.guard, server.over = threading.Lock(), threading.Event()  # type: ignore[attr-defined]
    script.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()
        server.server_close()


def judged_run(folder: Path, texts: list[str]) -> Path:
    """Make a run with an answer of each text, graded by the rules."""
    trials = [trial(repeat=repeat) for repeat in range(len(texts))]
    with new_store(folder) as store:
        answered = [(one, response(one, text)) for one, text in zip(trials, texts, strict=True)]
        store.add(answered, [grade(one) for one in trials])
    return folder
