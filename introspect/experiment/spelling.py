"""One thing said in two ways is one thing: the options of a run that is continued, and where its model is.

Goes in: options and the manifest of the run in their folder. Come out: the options as that run spelled them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from introspect.concepts.sets import between_commas
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.models.organisms import PREFIX
from introspect.selection import counts, numbers

FOUND_AT = "found_at"
"""Entry of a manifest: the model's folder or file, in full; no part of what decides what a run contains."""


def respelled(options: Options, stored: Mapping[str, Any]) -> Options:  # Any: JSON
    """Take over each option of the stored run that means the same as the one given, so that its trials keep their ids.

    `0-0` is `0`, `snow,dust` is `dust,snow`, and `checkpoints/mine/` is `checkpoints/mine`.
    """
    same: dict[str, Any] = {}  # Any: the options that are texts, which `replace` cannot know
    for name, meaning in MEANINGS.items():
        before, now = stored.get(name), getattr(options, name)
        if isinstance(before, list):
            before = ",".join(str(each) for each in before)
        if isinstance(before, str) and isinstance(now, str) and before != now and meaning(before) == meaning(now):
            same[name] = before
    return replace(options, **same)


def found_at(options: Options) -> dict[str, str]:
    """Say where the model is on this machine; nothing of an organism, nor of a hub id."""
    here = Path(options.model)
    local = not options.model.startswith(PREFIX) and here.exists()
    return {FOUND_AT: str(here.resolve())} if local else {}


def model_of(manifest: Mapping[str, Any], moved: str | None = None) -> str:  # Any: JSON
    """Return where the model of a run is: where it moved, as the run names it, or where it was.

    Raises InputError for a folder that is not here any more: its name could be that of another model on the hub.
    """
    name, was = str(manifest["model"]), manifest.get(FOUND_AT)
    if moved is not None or was is None or Path(name).exists():
        return moved or name
    if Path(was).exists():
        return str(was)
    raise InputError(f"model {name!r}: was {was}, which is not here; say where it is: Run.open(folder, model=PATH)")


def _places(text: str) -> object:
    """Read loops or layers, however many there are: `all` and depths as they stand, numbers counted out."""
    if text == "same":
        return text
    places: set[object] = set()
    for part in (part.strip() for part in text.split(",")):
        first, _, last = part.partition("-")
        places |= set(range(int(first), int(last or first) + 1)) if first.isdecimal() else {part}
    return "all" if "all" in places else places


def _set(text: str) -> object:
    return {part.strip() for part in text.split(",")}


def _concepts(text: str) -> object:
    """Tell words whatever their order; a set has one."""
    return text if ":" in text or "," not in text else set(between_commas(text))


def _place(text: str) -> object:
    here = Path(text)
    return here.resolve() if not text.startswith(PREFIX) and here.exists() else text


MEANINGS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("loops", "layers", "extract_loops"), _places),
    **dict.fromkeys(("stages", "framings", "arms", "questions"), _set),
    "concepts": _concepts,
    "strengths": lambda text: set(numbers(text, option="strengths")),
    "n_loops": lambda text: set(counts(text, option="n_loops")),
    "model": _place,
}
"""What the text of an option means, so that two texts can be held against each other."""
