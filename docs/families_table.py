"""Writes the table of families of the reference, from what each family says of itself."""

from pathlib import Path

from introspect.families.feedforward.model import FEED_FORWARD
from introspect.families.registry import FAMILIES
from introspect.families.training_free.model import TrainingFreeLooped


def write_families(path: Path) -> None:
    """Write the table: what a loop is, and what the family was held against."""
    named = ", ".join(f"`{kind}`" for kind in FEED_FORWARD[:4])
    looped = {f"`{kind}`": family.about for kind, family in FAMILIES.items() if kind not in FEED_FORWARD}
    plain = {f"{named} and {len(FEED_FORWARD) - 4} more": FAMILIES[FEED_FORWARD[0]].about}
    rows = looped | plain | {"any of these with `--loop-layers`": TrainingFreeLooped.about}
    lines = ["| `model_type` | family | a loop is | verified |", "|---|---|---|---|"]
    lines += [f"| {kind} | {about.name} | {about.loops} | {about.verified} |" for kind, about in rows.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
