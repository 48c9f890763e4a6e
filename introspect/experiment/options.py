"""What a sweep is asked to do: the options of `introspect sweep`, under the same names, as the user writes them.

Goes in: strings and numbers. Comes out: a frozen record in which all that can be checked without a model has been. What
stands beside the type of an option is its help on the command line.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from introspect.concepts.contrast_prompts import METHODS, Contrast, baseline_contrast, pair_contrast
from introspect.concepts.pairs import load_pairs
from introspect.concepts.sets import ConceptSet, load_concepts, read_choice
from introspect.errors import InputError
from introspect.experiment.preconditions import check_options
from introspect.grading import GRADERS, Grader, decision_of, grader_named
from introspect.injection.plan.grid import MODES, Mode
from introspect.injection.step.engines import ENGINES, EngineName
from introspect.models.looped_layers import LOOP_STEPS
from introspect.models.organisms import PREFIX
from introspect.prompts import Template, template_named
from introspect.protocols import NEUTRAL, Protocol, Variant, protocol_named
from introspect.records.old_names import OLD_NAMES, OLD_UNITS
from introspect.records.site import LOOP_OF, STAGES, Stage
from introspect.records.trial import ARMS, GATES, LAST, STRENGTH_UNITS, Arm, Gate, Sampling, Site, StrengthUnit
from introspect.selection import counts, names, numbers, one_of, select

DEFAULT_MODEL = f"{PREFIX}aware"
SHIPPED_BASELINE = "published"
"""Set whose baseline words are used by a set that has none."""
TRUST = "Run the code that a checkpoint of a type unknown here brings along, with all your rights: read it first."

_UNITS = "vector (as extracted), residual (the residual norm at the site), or kl (nats, on a text of its own)."
_TOKENIZER = "Hub id, folder or GGUF file that holds the tokenizer, where it is not the model's own."
SOURCE = ("revision", "tokenizer", "trust_remote_code", "loop_layers", "loop_step")
"""The options that find a model, beside its name: every command that loads one has them."""
LOOP_LAYERS = "Layers of a model without loops to run in loops, such as 10-19; one loop is the model as it was."
LOOP_STEP = "damped: in each of K loops a layer adds 1/K of its update. plain: all of it."


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one sweep; those that only say where and how fast it runs are not part of the run's identity."""

    model: Annotated[str, "Hub id, folder, GGUF file, or organism:NAME."] = DEFAULT_MODEL
    protocol: Annotated[str, "What is asked: see introspect protocols."] = "detect"
    framings: Annotated[str, "Wordings of the question: neutral, all, or such as neutral,sceptical."] = NEUTRAL
    questions: Annotated[str | None, "Questions of the protocol, such as detect,unrelated; all when left out."] = None
    template: Annotated[str | None, "A template in place of the first question's: shipped, or a .j2 file."] = None
    trial_numbers: Annotated[str, "Trial numbers that the model is told, in turn, such as 1,2,7."] = "1"
    loops: Annotated[str, "Where to inject: all, 0,2, 1-3, or a relative depth such as 0.5."] = "all"
    layers: Annotated[str, "Where to inject: all, 0,2, 1-3, or a relative depth such as 0.5."] = "all"
    stages: Annotated[str, "Where to inject: core (the loops), prelude, coda, or several."] = "core"
    inject: Annotated[str, "each: one site a trial. loops: a layer's chosen loops. together: all sites."] = "each"
    split_dose: Annotated[bool, "Divide the strength by the number of sites, so that the total is equal."] = False
    n_loops: Annotated[str | None, "Loops run, such as 4 or 1-8; as trained when left out."] = None
    loop_layers: Annotated[str | None, LOOP_LAYERS] = None
    loop_step: Annotated[str, LOOP_STEP] = LOOP_STEPS[0]
    remaining_loops: Annotated[int | None, "Loops run after the injected one, for equal remaining compute."] = None
    extract_loops: Annotated[str, "Loops whose vectors are injected: same, all, or 0,2."] = "same"
    concepts: Annotated[
        str | None, 'SET, SET:SPLIT or words: published, organisms:held-out, dust,snow, "Paris, Texas".'
    ] = None
    contrast: Annotated[str, "How vectors are made: baseline, or pairs."] = "baseline"
    pairs: Annotated[str, "Prompt pairs for --contrast pairs: pairs, or a CSV file."] = "pairs"
    strengths: Annotated[str, "In the strength unit, such as 0.5,1,2."] = "1,2,4"
    strength_unit: Annotated[str, _UNITS] = STRENGTH_UNITS[0]
    arms: Annotated[str | None, f"Of {', '.join(ARMS)}; the protocol's when left out."] = None
    repeats: Annotated[int, "Trials that differ in nothing but their draws."] = 1
    seed: Annotated[int, "Key of all draws."] = 0
    temperature: Annotated[float, "0 takes the most probable token."] = 1.0
    top_p: Annotated[float, "Share of the probability that is drawn from."] = 1.0
    max_new_tokens: Annotated[int, "Longest answer, in tokens."] = 100
    grader: Annotated[str, f"{', '.join(GRADERS)}, or several separated by commas."] = "rules"
    coherence: Annotated[str, "Which answers count: rules (all that can be read), or model as well."] = "rules"
    exit: Annotated[str, "Loop that answers are drawn from: last, gate, gate:0.9 (threshold), or its number."] = LAST
    decided_by: Annotated[str | None, "Grader: end an answer once its grade is settled. Default: never."] = None
    revision: Annotated[str | None, "Branch, tag or commit of a hub id."] = None
    tokenizer: Annotated[str | None, _TOKENIZER] = None
    date: Annotated[str | None, "Day told to a chat template that writes one; when left out, that of the run."] = None
    trust_remote_code: Annotated[bool, TRUST] = False
    device: Annotated[str, "auto, cpu, cuda, cuda:1, mps."] = "auto"
    dtype: Annotated[str, "auto, float32, bfloat16, float16, float64."] = "auto"
    engine: Annotated[str, "How later tokens are run: auto, nnsight, graph, graph:compile or graph:cuda."] = "auto"
    batch_size: Annotated[int | None, "Rows in a batch; as many as fit, at most 256, when left out."] = None
    workers: Annotated[int | None, "Processes on this machine, one a GPU; with --ray, actors of the cluster."] = None
    ray: Annotated[str | None, "Run on a Ray cluster: its address, auto, or local for one on this machine."] = None
    out: Annotated[Path | None, "Folder of the run; runs/MODEL-PROTOCOL when left out."] = None

    def __new__(cls, **given: object) -> Self:
        """Raise InputError for an option under the name that it had before."""
        for old in (name for name in given if name in OLD_NAMES):
            raise InputError(f"{old}: is called {OLD_NAMES[old]}; write that")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Raise InputError for all that can be seen to be wrong without a model."""
        check_options(self)

    @property
    def folder(self) -> Path:
        """Return the folder of the run."""
        return self.out if self.out is not None else Path("runs") / f"{self.model_name}-{self.protocol}"

    @property
    def model_name(self) -> str:
        """Return the name of the model, as folders are called."""
        looped = "" if self.loop_layers is None else f"@{self.loop_layers}-{self.loop_step}"
        return self.model.rstrip("/").rpartition("/")[2].replace(":", "-") + looped

    @property
    def source(self) -> dict[str, Any]:
        """Return what finds the model, beside its name; where and how it is run not included."""
        return {name: getattr(self, name) for name in SOURCE}

    @property
    def sampling(self) -> Sampling:
        """Return how answers are drawn."""
        decision = None if self.decided_by is None else decision_of(self.decided_by)
        return Sampling(self.temperature, self.top_p, self.max_new_tokens, decision, self.exit)

    def chosen_protocol(self) -> Protocol:
        """Read the protocol."""
        return protocol_named(self.protocol)

    def chosen_arms(self) -> tuple[Arm, ...]:
        """Read the arms, in their own order; each must make sense in some question of the protocol."""
        protocol = self.chosen_protocol()
        if self.arms is None:
            return tuple(arm for arm in ARMS if arm in protocol.arms)
        kind = f"arm of protocol {protocol.name}"
        chosen = names(self.arms, protocol.possible_arms, option="arms", kind=kind)
        return tuple(arm for arm in ARMS if arm in chosen)

    def chosen_graders(self) -> list[Grader]:
        """Read the graders."""
        return [grader_named(name) for name in names(self.grader, tuple(GRADERS), option="grader", kind="grader")]

    def chosen_coherence(self) -> Gate:
        """Read who says which answers count in tables and figures."""
        return one_of(self.coherence, GATES, kind="coherence")

    def strength_values(self) -> tuple[float, ...]:
        """Read the strengths."""
        return tuple(numbers(self.strengths, option="strengths"))

    def numbers(self) -> tuple[int, ...]:
        """Read the trial numbers."""
        return tuple(counts(self.trial_numbers, option="trial_numbers"))

    def totals(self, trained: int) -> tuple[int, ...]:
        """Read the numbers of loops to run, of a model that was trained with so many."""
        return (trained,) if self.n_loops is None else tuple(counts(self.n_loops, option="n_loops"))

    def mode(self) -> Mode:
        """Read which sites one injection has."""
        return one_of(self.inject, MODES, kind="inject mode")

    def steps(self) -> EngineName:
        """Read how the tokens after the first are run."""
        return one_of(self.engine, ENGINES, kind="engine")

    def unit(self) -> StrengthUnit:
        """Read what the strengths are measured in."""
        return one_of(OLD_UNITS.get(self.strength_unit, self.strength_unit), STRENGTH_UNITS, kind="strength unit")

    def chosen_stages(self) -> tuple[Stage, ...]:
        """Read the stages, in running order."""
        chosen = names(self.stages, STAGES, option="stages", kind="stage")
        return tuple(stage for stage in STAGES if stage in chosen)

    def sites(self, n_loops: int, layers: Mapping[Stage, int]) -> tuple[Site, ...]:
        """Read the sites, of a model that runs so many loops and has so many layers in each stage.

        The option `layers` is read for each stage anew.
        """
        sites: list[Site] = []
        for stage in self.chosen_stages():
            if not layers[stage]:
                has = ", ".join(each for each in STAGES if layers[each])
                raise InputError(f"stages: model {self.model!r} has no {stage}; it has {has}")
            chosen = select(self.layers, layers[stage], option="layers")
            loops = select(self.loops, n_loops, option="loops") if stage == "core" else [LOOP_OF[stage]]
            sites += [Site(loop, layer) for loop in loops for layer in chosen]
        return tuple(sites)

    def chosen_extract_loops(self, n_loops: int) -> tuple[int | None, ...]:
        """Read the loops whose vectors are injected; None is the loop of each site."""
        if self.extract_loops == "same":
            return (None,)
        return tuple(select(self.extract_loops, n_loops, option="extract_loops"))

    def variants(self) -> list[tuple[Variant, Template]]:
        """Read the questions, each in every chosen framing that it has, with their templates."""
        protocol = self.chosen_protocol()
        known = tuple(question.name for question in protocol.questions)
        asked = known if self.questions is None else names(self.questions, known, option="questions", kind="question")
        found = []
        for question in protocol.questions:
            for template in self._framed(question.templates, first=question is protocol.questions[0]):
                if question.name in asked:
                    found.append((Variant(question, template.name, template.hash), template))
        return found

    def chosen_concepts(self) -> tuple[ConceptSet, ConceptSet]:
        """Read the concept set, and what is chosen of it."""
        split, default = ("held-out", "organisms") if self.model.startswith(PREFIX) else ("published", "published")
        return read_choice(split if self.concepts is None else self.concepts, default=default)

    def words(self) -> tuple[str, ...]:
        """Read the concepts that trials are about."""
        by_pairs = one_of(self.contrast, tuple(METHODS), kind="contrast") == "pairs"
        return load_pairs(self.pairs).words if by_pairs and self.concepts is None else self.chosen_concepts()[1].words

    def chosen_contrast(self) -> Contrast:
        """Read the prompts from which the concept vectors are made; `words` come first.

        Where states are measured against vectors, those of the baseline's words go along, as other words.
        """
        if self.contrast == "pairs":
            return pair_contrast(self.words(), load_pairs(self.pairs))
        baseline = self.chosen_concepts()[0].baseline.words or load_concepts(SHIPPED_BASELINE).baseline.words
        return baseline_contrast((*self.words(), *(baseline if self.chosen_protocol().silent else ())), baseline)

    def identity(self) -> dict[str, Any]:
        """Return what decides, as far as the options do, what the run contains; plain JSON."""
        elsewhere = {"out", "device", "engine", "batch_size", "grader", "coherence", "workers", "ray"}
        elsewhere |= {"trust_remote_code"}
        elsewhere |= {"loop_layers", "loop_step"} if self.loop_layers is None else set()
        elsewhere |= {name for name in ("date", "tokenizer") if getattr(self, name) is None}
        given = {name: value for name, value in asdict(self).items() if name not in elsewhere}
        read = {
            "strengths": list(self.strength_values()),
            "strength_unit": self.unit(),
            "arms": list(self.chosen_arms()),
            "decided_by": self.sampling.decided_by,
            "questions": list(dict.fromkeys(variant.question.name for variant, _ in self.variants())),
            "templates": {template.hash: [template.name, template.source] for _, template in self.variants()},
        }
        return given | read

    def _framed(self, templates: dict[str, str], *, first: bool) -> list[Template]:
        if first and self.template is not None:
            return [template_named(self.template)]
        known = self.chosen_protocol().framings
        wanted = known if self.framings == "all" else names(self.framings, known, option="framings", kind="framing")
        plain = len(templates) == 1  # a question that has one wording only is asked in it, whatever the framing
        return [template_named(name) for framing, name in templates.items() if plain or framing in wanted]
