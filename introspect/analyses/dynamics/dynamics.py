"""`dynamics`: one call from the options of a sweep, or its run, to everything that is measured of the loops.

Goes in: options, texts, how many loops. Comes out: an Analysis with tables, figures and what they say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from introspect.analyses.analysis import Analysis
from introspect.analyses.dynamics import figures
from introspect.analyses.dynamics.fates import fates, left_by_site, returning
from introspect.analyses.dynamics.fixed_points import (
    LEAST_LOOPS,
    MOST_LOOPS,
    FixedPoint,
    Settled,
    Settling,
    measure_fixed_points,
)
from introspect.analyses.dynamics.path import path
from introspect.analyses.dynamics.recovery import endings, followed_recovery
from introspect.analyses.dynamics.sentences import dynamics_sentences
from introspect.analyses.dynamics.stages import Stages, measure_stages
from introspect.analyses.kept_units import Array, Keeping, keeping
from introspect.analyses.subject import Subject, open_subject, spread
from introspect.analyses.texts import read_texts, texts_of
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.families.loading import load_model, peek
from introspect.injection.engine.uncached_forward import Look, Rows, batches, walk
from introspect.models.looped_model import LoopedModel
from introspect.models.tap import Tap
from introspect.records.trial import Site
from introspect.results.figures.layout import figure_of, fitted

_BATCH_SIZE = 32
_TEXTS, _CONCEPTS = 16, 12
"""What is run where the full size is not asked for: prompts of the concept vectors, and concepts that are injected."""
_Table = tuple[str, pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is asked beside the options of a sweep."""

    texts: Path | None = None
    """A .txt, one text a line, or a .csv with a column `text`; the prompts of the concept vectors when None."""
    recurrences: int = 128
    """Loops after which a state counts as its own fixed point."""
    attention_loops: int = 8
    """Loops over which attention, entropy and norms are measured."""
    follow: int = 16
    """Loops run behind injected prompts, at least; more than trained, so that a rate can be seen."""
    max_tokens: int = 128
    """Texts are cut after so many."""
    baseline: str | None = None
    """A feed-forward model that the stages are drawn beside."""
    full: bool = False
    """Whether to take all prompts of the concept vectors, and all concepts, where the default takes a sample."""

    def __post_init__(self) -> None:
        """Raise InputError for what cannot be measured."""
        if self.recurrences < LEAST_LOOPS:
            raise InputError(f"recurrences {self.recurrences}: must be at least {LEAST_LOOPS}")
        for name, least in (("attention_loops", 1), ("follow", 1), ("max_tokens", 2)):
            if getattr(self, name) < least:
                raise InputError(f"{name} {getattr(self, name)}: must be at least {least}")
        for name in ("recurrences", "attention_loops", "follow", "max_tokens"):
            if getattr(self, name) > MOST_LOOPS:
                raise InputError(f"{name} {getattr(self, name)}: must be at most {MOST_LOOPS}")


@dataclass(frozen=True)
class Opened:
    """All that is needed, ready."""

    subject: Subject
    texts: list[str]
    settings: Settings

    @property
    def looped(self) -> LoopedModel:
        """Return the model."""
        return self.subject.tap.looped

    @property
    def batch_size(self) -> int:
        """Return the rows of a batch."""
        return self.subject.laboratory.options.batch_size or _BATCH_SIZE

    def rows(self, looped: LoopedModel | None = None) -> list[Rows]:
        """Return the texts in batches, in the tokens of this model or another."""
        most = self.settings.max_tokens
        return list(batches(looped or self.looped, self.texts, size=self.batch_size, most_tokens=most))


def dynamics(options: Options, settings: Settings | None = None, *, run: str | Path | None = None) -> Analysis:
    """Measure how a model settles and where its injections go. Raises InputError for bad input."""
    opened = open_dynamics(options, settings or Settings(), run)
    with keeping() as keep:
        return analysed(opened, keep)


def analysed(opened: Opened, keep: Keeping) -> Analysis:
    """Measure everything that is not kept yet."""
    keep.about(opened.subject, **_made_with(opened), rows=opened.batch_size)
    settled = settle(opened, keep)
    stage = measure_stages(opened.subject.tap, opened.rows(), n_loops=opened.settings.attention_loops, keep=keep)
    baseline = None if opened.settings.baseline is None else _beside(opened, opened.settings.baseline, keep)
    tables = _tables(settled, stage, baseline)
    tables["path"] = (
        "Path of one text's last token on its principal axes",
        path(opened.subject.tap, opened.rows()[0], n_loops=opened.settings.recurrences, keep=keep),
    )
    tables |= injections(opened, keep)
    return Analysis(
        name="dynamics",
        title="Do the loops settle, and where does an injection go?",
        made_with=_made_with(opened),
        sentences=dynamics_sentences(settled, {name: table for name, (_, table) in tables.items()}) + _sample(opened),
        tables=tables,
        figures=_figures({name: table for name, (_, table) in tables.items()}),
    )


def open_dynamics(options: Options, settings: Settings, run: str | Path | None) -> Opened:
    """Load what is needed, after checking what can be checked without it."""
    texts = None if settings.texts is None else read_texts(settings.texts)
    wanted = (settings.recurrences, settings.attention_loops, settings.follow)
    if run is None:
        outline = peek(options.model, **options.source)
        _check_order(options.model, by_token=outline.by_token)
        for n_loops in wanted:
            outline.check_loops(n_loops)
    subject = open_subject(options, run, most_concepts=None if settings.full else _CONCEPTS)
    _check_order(subject.tap.looped.name, by_token=subject.tap.looped.by_token)
    for n_loops in wanted:
        subject.tap.looped.forward_arguments(n_loops)
    if texts is None:
        texts = spread(texts_of(subject), None if settings.full else _TEXTS)
    return Opened(subject, texts, settings)


def _check_order(name: str, *, by_token: bool) -> None:
    """Raise InputError for a model of which a (loop, layer) has no attention matrix over a text."""
    if by_token:
        raise InputError(
            f"model {name!r} runs a token through all its loops before the next one: no (loop, layer) has an attention "
            "matrix over a text, which dynamics compares; trajectory follows its states"
        )


def settle(opened: Opened, keep: Keeping) -> Settled:
    """Run the texts for all recurrences, twice a batch."""
    loops, batches = opened.settings.recurrences, opened.rows()
    settling = Settling(opened.looped.n_layers, loops)
    keep.begin(f"batches of texts to run {loops} loops", len(batches))
    for rows in batches:
        kept = keep.unit(partial(_measured, opened, rows), **rows.named)
        settling.add(FixedPoint(**{name: torch.from_numpy(array) for name, array in kept.arrays().items()}))
    return settling.settled()


def _measured(opened: Opened, rows: Rows) -> dict[str, Array]:
    loops = opened.settings.recurrences
    show = partial(_show, opened.subject.tap, rows, loops)
    return {
        name: part.numpy()
        for name, part in vars(measure_fixed_points(show, rows.mask, opened.looped.n_layers, loops)).items()
    }


def _beside(opened: Opened, name: str, keep: Keeping) -> Stages:
    """Measure the stages of a feed-forward model on the same texts."""
    options = opened.subject.laboratory.options
    looped = load_model(name, device=options.device, dtype=options.dtype, trust_remote_code=options.trust_remote_code)
    if looped.n_loops != 1:
        raise InputError(f"baseline {name!r} runs {looped.n_loops} loops; it should be a feed-forward model")
    return measure_stages(Tap(looped), opened.rows(looped), n_loops=1, keep=keep)


def injections(opened: Opened, keep: Keeping) -> dict[str, _Table]:
    """Follow the injected trials and their random controls; with a run, say what became of the thoughts."""
    subject = opened.subject
    trials = subject.trials(["injected", "random"])
    if not trials:
        return {}
    size = opened.batch_size
    steps = followed_recovery(subject.engine, trials, n_loops=opened.settings.follow, batch_size=size, keep=keep)
    ends, left = endings(steps), left_by_site(steps)
    tables = {
        "left": ("What is left of injections at each later (loop, layer), mean over concepts", left),
        "returning": ("How fast injected paths come back to the path without an injection", returning(ends)),
        "arms": ("The same, all sites and strengths together", returning(ends, ["arm"])),
    }
    if subject.run is None:
        return tables
    became = fates(left, subject.run.trials)
    return tables if became.empty else {**tables, "fates": ("What became of the thoughts of each site", became)}


def _sample(opened: Opened) -> tuple[str, ...]:
    """Say that not everything was run, where that is so."""
    if opened.settings.full:
        return ()
    texts = f"{len(opened.texts)} texts" if opened.settings.texts is None else "all texts"
    return (f"This is a sample: {texts} and at most {_CONCEPTS} concepts; --full runs everything.",)


def _show(tap: Tap, rows: Rows, n_loops: int, look: Look, sites: Sequence[Site]) -> None:
    walk(tap, rows, look, n_loops=n_loops, sites=sites)


def _tables(settled: Settled, stage: Stages, baseline: Stages | None) -> dict[str, _Table]:
    verdict = pd.DataFrame(
        [{"verdict": settled.verdict, "away": settled.away, "turn": settled.turn, "lowest_cosine": settled.lowest}]
    )
    tables = {
        "verdict": ("Whether the loops settle", verdict.assign(texts=int(settled.distinct["n"].iloc[0]))),
        "settling": ("Change from loop to loop, and distance from the last loop, of each layer", settled.layers),
        "distinct": ("Cosine of each layer's fixed point with that of layer 0", settled.distinct),
        "tokens": ("How the paths of tokens end", settled.tokens),
        "stages": ("Norm, entropy and attention at each (loop, layer)", stage.sites),
        "attention": ("Distance between the attention matrices of all pairs of sites", stage.pairs),
    }
    return tables if baseline is None else {**tables, "baseline": ("The same of a feed-forward model", baseline.sites)}


def _figures(tables: dict[str, pd.DataFrame]) -> dict[str, tuple[str, Figure]]:
    found = {
        "settling": ("Change, distance and cosine by layer", figures.settling(tables["settling"])),
        "attention": ("Attention matrices of all pairs of sites", figures.attention(tables["attention"])),
        "stages": ("Stages of inference in each loop", figures.stages(tables["stages"], tables.get("baseline"))),
        "path": ("The path of one token", figures.paths(tables["path"])),
    }
    if "left" in tables:
        found["left"] = "What is left of an injection", figures.left(tables["left"])
    return {name: (title, fitted(figure_of(axes), f"{name}.csv")) for name, (title, axes) in found.items()}


def _made_with(opened: Opened) -> dict[str, Any]:  # Any: plain JSON
    texts = str(opened.settings.texts or "prompts of the concept vectors")
    return {**opened.subject.made_with, **vars(opened.settings), "texts": texts}
