"""A local transformers model as the judge: greedy, one question at a time. Questions go in, replies come out.

Nothing holds it to the form of the reply: what is not of that form is malformed.
"""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig

from introspect.errors import InputError
from introspect.families.gguf import checkpoint
from introspect.families.loading import load_model
from introspect.families.placement import device_named, dtype_named
from introspect.families.quiet import quiet
from introspect.families.registry import FAMILIES
from introspect.grading.judge.judge_settings import JudgeSettings
from introspect.grading.judge.replies import JudgeQuestion, Reply
from introspect.models.named import is_gguf
from introspect.models.organisms import PREFIX, organism_folder
from introspect.prompts.dates import date_in, fix_day, write_chat

ASKED_AS = "none, greedy"
CHECKED = tuple({"role": role, "content": "x"} for role in ("system", "user"))
DAY = "2026-01-01"
"""What a judge is told whose chat format writes a date: always the same, since no verdict may hang on the day."""


class LocalModel:
    """A judge that runs here."""

    def __init__(self, settings: JudgeSettings) -> None:
        """Load it. Raises InputError for a model that is not there or cannot be asked anything."""
        self._settings = settings
        self._model, self._tokenizer, self._commit = _loaded(settings.model)
        fix_day(self._tokenizer, DAY)
        _check_chat(settings.model, self._tokenizer)
        self._one_by_one = asyncio.Lock()

    @property
    def identity(self) -> str:
        """Name the model with a hash of its files, or the commit at the hub, and the day that its chats are given."""
        day = date_in(self._tokenizer, CHECKED, add_generation_prompt=True)
        return f"{self._settings.model}@{self._commit}" + ("" if day is None else f" on {day}")

    async def ask(self, question: JudgeQuestion) -> Reply:
        """Write the most probable reply."""
        async with self._one_by_one:
            return await asyncio.to_thread(self._asked, question)

    async def close(self) -> None:
        """Do nothing: the model goes with this object."""

    @torch.inference_mode()
    def _asked(self, question: JudgeQuestion) -> Reply:
        text = write_chat(self._tokenizer, question.messages, add_generation_prompt=True)
        given = self._tokenizer(text, add_special_tokens=False, return_tensors="pt").to(self._model.device)
        read = given["input_ids"].shape[1]
        with quiet():
            written = self._model.generate(
                input_ids=given["input_ids"],
                attention_mask=given["attention_mask"],
                do_sample=False,
                max_new_tokens=self._settings.max_tokens,
            )[0, read:]
        return Reply(
            content=self._tokenizer.decode(written, skip_special_tokens=True),
            refusal=None,
            finish_reason="stop" if int(written[-1]) in self._ends() else "length",
            prompt_tokens=read,
            completion_tokens=len(written),
            cost=None,
            model=self.identity,
            asked_as=ASKED_AS,
        )

    def _ends(self) -> set[int]:
        ends = self._model.generation_config.eos_token_id
        return set(ends if isinstance(ends, list) else [ends])


def _loaded(name: str) -> tuple[Any, Any, str]:
    """Return model, tokenizer and what identifies the weights. Any: whichever classes the checkpoint needs."""
    folder = organism_folder(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else Path(name)
    source = str(folder) if folder.is_dir() else name
    try:
        if is_gguf(name):
            looped = load_model(name)
            return looped.model, looped.tokenizer, checkpoint.file_hash(name)[:16]
        settings = PreTrainedConfig.get_config_dict(source)[0]
        commit = _digest(folder) if folder.is_dir() else str(settings.get("_commit_hash"))
        if settings.get("model_type") in FAMILIES:
            looped = load_model(name)
            return looped.model, looped.tokenizer, commit
        with quiet():
            device = device_named("auto")
            model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=dtype_named("auto", device))
            return model.to(device).eval(), AutoTokenizer.from_pretrained(source), commit
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"--judge-model {name!r}: no model that can be loaded ({why}); give --judge-url for an endpoint"
        ) from None


def _check_chat(name: str, tokenizer: Any) -> None:
    """Refuse a model that cannot be asked. Any: a tokenizer of whichever class."""
    if tokenizer.chat_template is None:
        raise InputError(f"--judge-model {name!r} has no chat template, so no question can be put to it")
    try:
        write_chat(tokenizer, CHECKED)
    except TemplateError as error:
        raise InputError(f"--judge-model {name!r}: its chat template takes no system message ({error})") from None


def _digest(folder: Path) -> str:
    """Hash the files of a checkpoint."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors", ".jinja")):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
