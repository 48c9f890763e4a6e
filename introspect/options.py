"""What a sweep is asked to do: the options of `introspect sweep`, under the same names, as the user writes them.

Goes in: strings and numbers. Comes out: a frozen record in which all that can be checked without a model has been.
"""

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from introspect.concepts.contrasts import METHODS, Contrast, baseline_contrast, pair_contrast
from introspect.concepts.pairs import load_pairs
from introspect.concepts.sets import ConceptSet, load_concepts, read_choice
from introspect.errors import InputError
from introspect.grading import GRADERS, Grader, decision_of, grader_named
from introspect.injection.grid import MODES, Mode, check_counts, check_sampling
from introspect.models.shipped import PREFIX
from introspect.prompts import START, Prompt, Template, render, template_named
from introspect.records import ARMS, STRENGTH_UNITS, Arm, Sampling, Site, StrengthUnit
from introspect.selection import names, numbers, one_of, select

PROTOCOL = "detect"
DEFAULT_MODEL = f"{PREFIX}aware"
SHIPPED_BASELINE = "published"
"""Set whose baseline words are used by a set that has none."""


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
    """SET, SET:ITEMS or ITEMS; None means organisms:held-out for an organism, else published; with pairs, theirs."""
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
    decided_by: str | None = None
    """Grader whose declared decision ends an answer early; None lets answers go on."""
    grader: str = "rules"
    """Graders, separated by commas."""
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None
    """Rows in a batch; None means as many as fit, at most 256."""
    workers: int | None = None
    """Processes on this machine, or actors of a Ray cluster; None means this one, or an actor for each GPU it has."""
    ray: str | None = None
    """Address of a Ray cluster, or local for one on this machine that lasts as long as the sweep."""
    out: Path | None = None
    """Folder of the run; None means runs/<model>-<protocol>."""

    def __post_init__(self) -> None:
        """Raise InputError for all that can be seen to be wrong without a model."""
        for choice in (self.chosen_arms, self.chosen_graders, self.strength_values, self.mode, self.unit):
            choice()
        check_counts(
            batch_size=self.batch_size, total_loops=self.total_loops, repeats=self.repeats, workers=self.workers
        )
        check_sampling(self.sampling)
        self._check_ray()
        self.prompt()
        self.chosen_contrast()

    @property
    def folder(self) -> Path:
        """Give the folder of the run."""
        name = self.model.rstrip("/").rpartition("/")[2].replace(":", "-")
        return self.out if self.out is not None else Path("runs") / f"{name}-{PROTOCOL}"

    @property
    def sampling(self) -> Sampling:
        """Give how answers are drawn."""
        decision = None if self.decided_by is None else decision_of(self.decided_by)
        return Sampling(self.temperature, self.top_p, self.max_new_tokens, decision)

    def chosen_arms(self) -> tuple[Arm, ...]:
        """Read the arms, in their own order."""
        chosen = names(self.arms, ARMS, option="arms", kind="arm")
        return tuple(arm for arm in ARMS if arm in chosen)

    def chosen_graders(self) -> list[Grader]:
        """Read the graders."""
        return [grader_named(name) for name in names(self.grader, tuple(GRADERS), option="grader", kind="grader")]

    def strength_values(self) -> tuple[float, ...]:
        """Read the strengths."""
        return tuple(numbers(self.strengths, option="strengths"))

    def mode(self) -> Mode:
        """Read whether each site is a trial or all are one."""
        return one_of(self.inject, MODES, kind="inject mode")

    def unit(self) -> StrengthUnit:
        """Read what the strengths are multiples of."""
        return one_of(self.strength_unit, STRENGTH_UNITS, kind="strength unit")

    def sites(self, n_loops: int, n_layers: int) -> tuple[Site, ...]:
        """Read the sites, of a model that runs so many loops and has so many layers."""
        loops, layers = select(self.loops, n_loops, option="loops"), select(self.layers, n_layers, option="layers")
        return tuple(Site(loop, layer) for loop in loops for layer in layers)

    def extract_loops(self, n_loops: int) -> tuple[int | None, ...]:
        """Read the loops whose vectors are injected; None is the loop of each site."""
        return (None,) if self.extract == "same" else tuple(select(self.extract, n_loops, option="extract"))

    def chosen_template(self) -> Template:
        """Read the template."""
        return template_named(self.template)

    def prompt(self) -> Prompt:
        """Fill the template in; it must mark an injection span."""
        prompt = render(self.chosen_template())
        if prompt.start is None:
            raise InputError(f"template {self.template!r} has no injection span; write {START} where it begins")
        return prompt

    def chosen_concepts(self) -> tuple[ConceptSet, ConceptSet]:
        """Read the concept set, and what is chosen of it."""
        organism = self.model.startswith(PREFIX)
        default = "organisms" if organism else "published"
        return read_choice(self.concepts or ("held-out" if organism else "published"), default=default)

    def chosen_contrast(self) -> Contrast:
        """Read the prompts from which the concept vectors are made."""
        if one_of(self.contrast, tuple(METHODS), kind="contrast") == "pairs":
            pairs = load_pairs(self.pairs)
            return pair_contrast(pairs.words if self.concepts is None else self.chosen_concepts()[1].words, pairs)
        concepts, chosen = self.chosen_concepts()
        baseline = concepts.baseline.words or load_concepts(SHIPPED_BASELINE).baseline.words
        return baseline_contrast(chosen.words, baseline)

    def identity(self) -> dict[str, Any]:
        """Give what decides, as far as the options do, what the run contains; plain JSON."""
        elsewhere = {"out", "device", "batch_size", "grader", "workers", "ray"}
        given = {name: value for name, value in asdict(self).items() if name not in elsewhere}
        template = self.chosen_template()
        read = {
            "strengths": list(self.strength_values()),
            "arms": list(self.chosen_arms()),
            "decided_by": self.sampling.decided_by,
        }
        return {**given, **read, "template_hash": template.hash, "template_source": template.source}

    def _check_ray(self) -> None:
        if self.ray is None:
            return
        if find_spec("ray") is None:
            raise InputError(f'ray {self.ray!r}: Ray is not installed; pip install "introspect-loops[ray]"')
        if not self.ray:
            raise InputError("ray '': must be local or the address of a cluster, such as auto or head:6379")
        if ":" in self.device:
            raise InputError(f"device {self.device!r} with ray: Ray gives each worker its GPU; say cuda or auto")
