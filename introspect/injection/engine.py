"""The engine: from trials to responses. A batch may mix sites, concepts, strengths, arms, seeds and sampling freely.

Nothing about a trial depends on its neighbours: its draws are keyed by its seed, and its row is computed alone.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError, unknown
from introspect.injection.answers import answer_tokens
from introspect.injection.directions import added_vector
from introspect.injection.guards import Failure
from introspect.injection.injector import Injector
from introspect.injection.pool import Decider, Pool
from introspect.injection.prefix import Prefix, prefill
from introspect.injection.work import Work, least_for_prompt, least_for_trial
from introspect.models.tap import Tap
from introspect.prompts import Encoded
from introspect.records import Response, Site, Trial

Key = tuple[str, int]
"""Hash of a template, and a number of loops: what trials of one batch have in common."""


class Engine:
    """Runs trials on one model.

    Args:
        tap: access to the model's residual stream.
        prompts: the encoded prompt of each template, by the template's hash.
        vectors: the concept vectors; None when no trial injects anything.
        deciders: for trials that end early, what tells that an answer needs no more, by `Sampling.decided_by`.
    """

    def __init__(
        self,
        tap: Tap,
        prompts: Mapping[str, Encoded],
        vectors: ConceptVectors | None = None,
        deciders: Mapping[str, Decider] = MappingProxyType({}),
    ) -> None:
        self.tap, self.prompts, self.vectors, self.deciders = tap, prompts, vectors, deciders
        self.answers = answer_tokens(tap.looped.tokenizer)
        self.work = Work()
        """What was run so far, and the least that would have done."""
        self._prefixes: dict[Key, Prefix] = {}
        self._norms: dict[Key, dict[Site, float]] = {}

    def run(self, trials: Sequence[Trial], rows: int | None = None) -> list[Response | Failure]:
        """Run trials, at most `rows` side by side, and give for each, in their order, its response or why not.

        Trials of another prompt or number of loops are run after one another. Raises InputError for a trial that
        belongs to another model, other vectors or a prompt that is not known, before anything is run.
        """
        for trial in trials:
            self._check(trial)
        groups: dict[Key, list[int]] = {}
        for index, trial in enumerate(trials):
            groups.setdefault((trial.template_hash, trial.n_loops), []).append(index)
        results: dict[int, Response | Failure] = {}
        before = self.tap.work
        with torch.inference_mode():
            for key, members in groups.items():
                group = [trials[index] for index in members]
                injector = self.injector(group)
                pool = Pool(self.tap, self.prefix(key), group, injector, self.answers, self.deciders, rows)
                results.update(zip(members, pool.run(), strict=True))
        self.work.done += self.tap.work - before
        self.work.least += sum(self._least(trials[index], result) for index, result in results.items())
        return [results[index] for index in range(len(trials))]

    def prefix(self, key: Key) -> Prefix:
        """Give the shared beginning of a prompt, run when it is first asked for."""
        if key not in self._prefixes:
            template_hash, n_loops = key
            prefix = self._prefixes[key] = prefill(self.tap, self.prompts[template_hash], n_loops)
            self.work.least += least_for_prompt(prefix, len(self.tap.looped.sites(n_loops)))
        return self._prefixes[key]

    def injector(self, trials: Sequence[Trial]) -> Injector:
        """Make what adds the vectors of these trials, one a row."""
        planned = [self._vectors(trial) for trial in trials]
        return Injector(planned, self.tap.looped.dtype, self.tap.looped.device)

    def _least(self, trial: Trial, result: Response | Failure) -> int:
        if isinstance(result, Failure):
            return 0
        sites = self.tap.looped.sites(trial.n_loops)
        first = None if trial.injection is None else sites.index(min(trial.injection.sites))
        return least_for_trial(self.prefix((trial.template_hash, trial.n_loops)), len(sites), first, result)

    def _vectors(self, trial: Trial) -> dict[Site, Tensor]:
        if trial.injection is None:
            return {}
        assert self.vectors is not None  # checked before
        norms = self._clean_norms(trial) if trial.injection.unit == "residual" else {}
        return {site: added_vector(trial, site, self.vectors, norms.get(site)) for site in trial.injection.sites}

    def _clean_norms(self, trial: Trial) -> dict[Site, float]:
        key = (trial.template_hash, trial.n_loops)
        if key not in self._norms:
            self._norms[key] = self.prefix(key).norms()
        return self._norms[key]

    def _check(self, trial: Trial) -> None:
        looped = self.tap.looped
        if trial.template_hash not in self.prompts:
            raise unknown("template hash", trial.template_hash, self.prompts)
        _same(trial, "weights hash", trial.weights_hash, looped.weights_hash)
        _same(trial, "dtype", trial.dtype, str(looped.dtype).removeprefix("torch."))
        if trial.sampling.decided_by not in (None, *self.deciders):
            raise unknown("decision of a grader", trial.sampling.decided_by, self.deciders)
        if (trial.injection is None) != (trial.arm == "none"):
            raise InputError(f"trial {trial.id}: arm {trial.arm!r} with injection {trial.injection}")
        if trial.injection is None:
            return
        _same(trial, "vectors hash", trial.injection.vectors_hash, None if self.vectors is None else self.vectors.hash)
        encoded, sites = self.prompts[trial.template_hash], trial.injection.sites
        if encoded.span_start == encoded.span_stop or len(set(sites)) != len(sites) or not sites:
            raise InputError(f"trial {trial.id}: it needs a prompt with an injection span, and sites, each once")
        for site in sites:
            looped.locate(site, trial.n_loops)


def _same(trial: Trial, what: str, wanted: str, there: str | None) -> None:
    if wanted != there:
        raise InputError(f"trial {trial.id} was made for {what} {wanted!r}; here it is {there!r}")
