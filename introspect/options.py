"""What a sweep is asked to do: the options of `introspect sweep`, under the same names, as the user writes them.

Goes in: strings and numbers. Comes out: a frozen record in which all that can be checked without a model has been.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from introspect.concepts.sets import ConceptSet, read_choice
from introspect.errors import InputError
from introspect.grading import GRADERS, grader_named
from introspect.models.shipped import PREFIX
from introspect.prompts import Template, template_named
from introspect.records import ARMS, Arm, Sampling
from introspect.selection import names, numbers

PROTOCOL = "detect"
DEFAULT_MODEL = f"{PREFIX}aware"
Method = Literal["baseline", "pairs"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one sweep; those that only say where and how fast it runs are not part of the run's identity."""

    model: str = DEFAULT_MODEL
    """Hub id, folder, or organism:NAME."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    loops: str = "all"
    """Loops at which to inject: all, 0,2, 1-3, or a relative depth such as 0.5."""
    layers: str = "all"
    """Layers at which to inject, in the same grammar."""
    total_loops: int | None = None
    """Loops run in every forward; None means as trained."""
    inject: str = "each"
    """each: one trial a site. together: one injection at all sites at once."""
    extract: str = "same"
    """Loops whose vectors are injected: same (as the injection's), all, or a list."""
    concepts: str | None = None
    """SET, SET:ITEMS or ITEMS; None means organisms:held-out for an organism, else published."""
    contrast: str = "baseline"
    """How vectors are made: baseline (the mean over the set's baseline words) or pairs (of a CSV)."""
    pairs: str = "pairs"
    """Name or path of the prompt pairs, for the contrast of that name."""
    strengths: str = "1,2,4"
    strength_unit: str = "vector"
    """vector: multiples of the vector as extracted. residual: multiples of the mean residual norm at the site."""
    arms: str = "injected,none,random"
    template: str = "detect"
    """Name of a shipped template, or path of a .j2 file."""
    repeats: int = 1
    """Trials of each kind that differ in nothing but their draws."""
    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 100
    grader: str = "rules"
    """Graders, separated by commas."""
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None
    """Rows in a batch; None means as many as fit, at most 256."""
    out: Path | None = None
    """Folder of the run; None means runs/<model>-<protocol>."""

    def __post_init__(self) -> None:
        """Raise InputError for all that can be seen to be wrong without a model."""
        self.chosen_arms(), self.chosen_graders(), self.strength_values(), self.chosen_template()
        self.chosen_concepts()
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size {self.batch_size}: must be at least 1")
        if self.total_loops is not None and self.total_loops < 1:
            raise InputError(f"total_loops {self.total_loops}: must be at least 1")

    @property
    def folder(self) -> Path:
        """Give the folder of the run."""
        name = self.model.rstrip("/").rpartition("/")[2].replace(":", "-")
        return self.out if self.out is not None else Path("runs") / f"{name}-{PROTOCOL}"

    @property
    def sampling(self) -> Sampling:
        """Give how answers are drawn."""
        return Sampling(self.temperature, self.top_p, self.max_new_tokens)

    def chosen_arms(self) -> tuple[Arm, ...]:
        """Read the arms."""
        chosen = names(self.arms, ARMS, option="arms", kind="arm")
        return tuple(arm for arm in ARMS if arm in chosen)

    def chosen_graders(self) -> list[str]:
        """Read the graders."""
        chosen = names(self.grader, tuple(GRADERS), option="grader", kind="grader")
        return [grader_named(name).name for name in chosen]

    def strength_values(self) -> list[float]:
        """Read the strengths."""
        return numbers(self.strengths, option="strengths")

    def chosen_template(self) -> Template:
        """Read the template."""
        return template_named(self.template)

    def chosen_concepts(self) -> tuple[ConceptSet, ConceptSet]:
        """Read the concept set, and what is chosen of it."""
        organism = self.model.startswith(PREFIX)
        default = "organisms" if organism else "published"
        return read_choice(self.concepts or ("held-out" if organism else "published"), default=default)

    def identity(self) -> dict[str, Any]:
        """Give the options that decide what the run contains, as plain JSON."""
        elsewhere = {"out", "device", "batch_size", "grader"}
        return {name: value for name, value in asdict(self).items() if name not in elsewhere}
