"""Who notices an injected thought: the model's words, its logits, or a probe of its states; and who can name it.

Goes in: Seen. Come out: tables by the loop of the injection. One probe is fitted for each loop of the injection and
each site at which is read, whatever the layer and strength of the injection.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from introspect.analyses.kept_units import Array, Keeping
from introspect.analyses.monitor.injected import Seen
from introspect.analyses.monitor.probes import FOLDS, CrossFit, Labels, ProbeKind, cross_fit, shuffled
from introspect.analyses.monitor.probing import DEALS, of_best_layer
from introspect.analyses.monitor.refits import REFITS, scored
from introspect.analyses.monitor.regression import Floats
from introspect.analyses.monitor.scores import SCORE_RESAMPLES, Scoring, over_deals
from introspect.records.trial import Site
from introspect.results.statistics.clusters import Estimate, Weights

BY = ("words", "logits", "probe", "shuffled")


@dataclass(frozen=True)
class Noticed:
    """Who notices and names, and where a probe could; rates with n and intervals over concepts."""

    monitors: pd.DataFrame
    """By loop of the injection, strength, who notices and what is measured."""
    sites: pd.DataFrame
    """Detection by a probe at each site, its intervals those of one fit, and by logits after each loop."""


@dataclass(frozen=True)
class NoticingCell:
    """The rows of one loop of the injection with their controls, and how they are split.

    Injected and random rows are split by concept. Without an injection the state is the same whatever the concept:
    each wording counts once, wordings are split, and where there is but one these rows are left out.
    """

    loop: int
    rows: pd.DataFrame
    labels: Labels
    """1 where a concept is injected."""
    groups: Labels
    places: Labels
    """`(split, row)`: the fold of each row in each split."""
    concepts: Labels
    weights: Weights
    """How often each concept was drawn."""

    @classmethod
    def of(cls, trials: pd.DataFrame, loop: int, seed: int) -> "NoticingCell":
        """Take the rows of a loop and split them."""
        clean = trials[trials["arm"] == "none"].drop_duplicates("wording")
        rows = pd.concat([trials[trials["loop"] == loop], clean[: len(clean) if len(clean) > 1 else 0]])
        concepts, wordings = (
            pd.factorize(rows[name], sort=True)[0].astype(np.int64) for name in ("concept", "wording")
        )
        n, draw = int(concepts.max()) + 1, np.random.default_rng(seed)
        sizes = (n, int(wordings.max()) + 1)
        folds = np.stack([np.concatenate([draw.permutation(size) for size in sizes]) for _ in range(REFITS)]) % FOLDS
        groups = np.where(rows["arm"] == "none", n + wordings, concepts)
        weights = draw.multinomial(n, np.full(n, 1 / n), size=SCORE_RESAMPLES).astype(np.float64)
        labels = (rows["arm"] == "injected").to_numpy().astype(np.int64)
        return cls(loop, rows, labels, groups, folds[:, groups], concepts, weights)

    def fit(self, states: Floats, kind: ProbeKind, labels: Labels | None = None, number: int = 0) -> CrossFit:
        """Fit probes that tell injected rows from all controls in one of the splits, on the states of all trials."""
        chosen = states[self.rows.index.to_numpy()]
        return cross_fit(chosen, self.labels if labels is None else labels, self.groups, self.places[number], kind)

    def scoring(self, chosen: NDArray[np.bool_], truth: Labels) -> Scoring:
        """Make what scores some of the rows."""
        return Scoring(truth[chosen].astype(float), self.concepts[chosen], self.weights)

    def arms(self, *names: str, strength: float | None = None) -> NDArray[np.bool_]:
        """Say which rows are of these arms, of one strength where it is given."""
        there = self.rows["arm"].isin(names)
        return (there if strength is None else there & (self.rows["strength"] == strength)).to_numpy()


def notice(seen: Seen, *, kind: ProbeKind, seed: int, keep: Keeping) -> Noticed:
    """Fit probes for each loop of the injection and hold them beside words and logits."""
    lines: list[dict[str, object]] = []
    maps: list[dict[str, object]] = []
    injected = sorted(int(each) for each in seen.trials["loop"].dropna().unique())
    keep.begin("sets of probes to fit on injected prompts", len(injected))
    for loop in injected:
        cell = NoticingCell.of(seen.trials, loop, seed)
        sites = [Site(r, layer) for r in seen.loops if r >= loop for layer in seen.layers]
        asked = {"loop": loop, "probe": kind, "seed": seed, "splits": REFITS}
        fitted = keep.unit(partial(_fitted, cell, seen, sites, kind, seed), **asked).arrays()
        maps += list(_maps(cell, dict(zip(sites, fitted["said"], strict=True))))
        verdicts = {
            "words": cell.rows["detected"].to_numpy(dtype=float),
            "logits": _yes(cell.rows, sites[-1].loop),
            "probe": fitted["probe"].astype(float),
        }
        named = {
            "words": cell.rows["identified"].to_numpy(dtype=float),
            "logits": cell.rows["named"].to_numpy(dtype=float),
            **{name: fitted[f"{name}-named"] for name in ("probe", "shuffled")},
        }
        control = fitted["control"].astype(float)
        for strength in sorted(cell.rows["strength"].dropna().unique()):
            lines += list(_detection(cell, float(strength), verdicts))
            lines.append(_of_control(cell, float(strength), control, seed))
            lines += list(_naming(cell, float(strength), named))
    return Noticed(pd.DataFrame(lines), pd.DataFrame(maps))


def _fitted(cell: NoticingCell, seen: Seen, sites: Sequence[Site], kind: ProbeKind, seed: int) -> dict[str, Array]:
    """Fit probes at every site in one split, `said` `(site, row)`, and at the ends in each, `probe` `(split, row)`.

    The concept is named at the last site.
    """
    ends = [seen.states.at(site) for site in sites[-len(seen.layers) :]]
    splits = enumerate(cell.places)
    return {
        "said": np.stack([cell.fit(seen.states.at(site), kind).said for site in sites]),
        "probe": np.stack([of_best_layer([cell.fit(at, kind, number=n) for at in ends], place) for n, place in splits]),
        "control": _of_deals(cell, ends, kind, seed),
        "probe-named": _named(cell, ends[-1], None),
        "shuffled-named": _named(cell, ends[-1], seed),
    }


def _detection(cell: NoticingCell, strength: float, verdicts: dict[str, Floats]) -> Iterator[dict[str, object]]:
    """Yield hits, false alarms of each control, and the mean of hits and of random rows rightly refused."""
    for by, said in verdicts.items():
        arms = {name: cell.arms(name, strength=strength) for name in ("injected", "random")} | {
            "none": cell.arms("none")
        }
        for measure, arm in (("hits", "injected"), ("false alarms, random", "random"), ("false alarms, none", "none")):
            there = arms[arm]
            scoring = cell.scoring(there, np.ones_like(cell.labels))
            estimate = scored(scoring, "accuracy", said[..., there], cell.places[:, there])
            yield _row(cell, strength, by, measure, estimate, said[..., there])
        both = arms["injected"] | arms["random"]
        estimate = scored(cell.scoring(both, cell.labels), "balanced", said[..., both], cell.places[:, both])
        yield _row(cell, strength, by, "detection", estimate, said[..., both])


def _of_deals(cell: NoticingCell, ends: Sequence[Floats], kind: ProbeKind, seed: int) -> Labels:
    """Return what probes of labels that are dealt out anew say, `(deal, row)`, the layer chosen in each deal."""
    said = []
    for deal in range(DEALS):
        fitted = [cell.fit(states, kind, _dealt(cell, seed, deal)) for states in ends]
        said.append(of_best_layer(fitted, cell.places[0]))
    return np.stack(said)


def _of_control(cell: NoticingCell, strength: float, dealt: Floats, seed: int) -> dict[str, object]:
    """Return the mean over deals, with the lowest and highest."""
    both = cell.arms("injected", "random", strength=strength)
    scored = [
        cell.scoring(both, _dealt(cell, seed, deal)).balanced(said[both]).value for deal, said in enumerate(dealt)
    ]
    found = over_deals(scored, cell.weights.shape[1])
    return _row(cell, strength, "shuffled", "detection", found, dealt[0][both])


def _naming(cell: NoticingCell, strength: float, named: dict[str, Floats]) -> Iterator[dict[str, object]]:
    for by, right in named.items():
        chosen = cell.arms("injected", strength=strength)
        estimate = cell.scoring(chosen, np.ones(len(right), dtype=np.int64)).accuracy(right[chosen])
        yield _row(cell, strength, by, "naming", estimate, right[chosen])


def _maps(cell: NoticingCell, fitted: Mapping[Site, Labels]) -> Iterator[dict[str, object]]:
    both = cell.arms("injected", "random")
    scoring = cell.scoring(both, cell.labels)
    for site, verdicts in fitted.items():
        where = {"loop": cell.loop, "by": "probe", "read_loop": site.loop, "read_layer": site.layer}
        said = verdicts.astype(float)[both]
        yield where | _numbers(scoring.balanced(said), said)
    for loop in dict.fromkeys(site.loop for site in fitted):
        where = {"loop": cell.loop, "by": "logits", "read_loop": loop, "read_layer": None}
        said = _yes(cell.rows, loop)[both]
        yield where | _numbers(scoring.balanced(said), said)


def _yes(rows: pd.DataFrame, loop: int) -> Floats:
    return (rows[f"logit-{loop}"] > 0).to_numpy().astype(np.float64)


def _dealt(cell: NoticingCell, seed: int, deal: int) -> Labels:
    """Deal the labels out anew, within each concept's rows."""
    return shuffled(cell.labels, cell.groups, [seed, cell.loop, deal])


def _named(cell: NoticingCell, states: Floats, deal: int | None) -> Floats:
    """Tell for each injected row whether the nearest of the concepts' mean states is that of its own concept.

    Means are taken of rows with other wordings or, where there is one wording, of other strengths; NaN where there is
    one of both. With `deal` the concepts of the rows are dealt out anew.
    """
    right, chosen = np.full(len(cell.rows), np.nan), np.flatnonzero(cell.labels == 1)
    rows, x = cell.rows.iloc[chosen], states[cell.rows.index.to_numpy()[chosen]]
    concepts = cell.concepts[chosen] if deal is None else _anew(cell.concepts[chosen], deal)
    by = next((name for name in ("wording", "strength") if rows[name].nunique() > 1), None)
    if by is None:
        return right
    part = pd.factorize(rows[by], sort=True)[0] % 2
    for half in (0, 1):
        fitted, tested = part != half, part == half
        nearest = _nearest_mean(x[fitted], concepts[fitted], x[tested])
        right[chosen[tested]] = nearest == concepts[tested]
    return right


def _anew(concepts: Labels, deal: int) -> Labels:
    return np.random.default_rng([deal]).permutation(concepts)


def _nearest_mean(fitted: Floats, concepts: Labels, tested: Floats) -> Labels:
    """Return the concept whose mean state is nearest to each tested one, in units of each coordinate's deviation."""
    known = np.unique(concepts)
    scale = np.maximum(fitted.std(0), 1e-9)
    means = np.stack([fitted[concepts == concept].mean(0) for concept in known])
    distances = [(((tested - mean) / scale) ** 2).sum(-1) for mean in means]
    nearest: Labels = known[np.argmin(distances, axis=0)]
    return nearest


def _row(
    cell: NoticingCell, strength: float, by: str, measure: str, estimate: Estimate, said: Floats
) -> dict[str, object]:
    where = {"loop": cell.loop, "strength": strength, "by": by, "measure": measure}
    return where | _numbers(estimate, said)


def _numbers(estimate: Estimate, said: Floats) -> dict[str, object]:
    """Return columns of an estimate: n of trials with a verdict, and those that are unknown, which are in no rate."""
    once = np.atleast_2d(said)[0]  # of what was said in each split, one split
    neither = int(np.isnan(once).sum())
    found = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {"n": len(once) - neither, "unknown": neither, "concepts": estimate.concepts, **found}
