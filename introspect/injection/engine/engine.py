"""The engine: from trials to responses. A batch may mix sites, concepts, strengths, arms, seeds and sampling freely.

Nothing about a trial depends on its neighbours: its draws are keyed by its seed, and its row is computed alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor

from introspect.concepts.prompt_states import NO_STATES
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError, unknown
from introspect.families.placement import dtype_name
from introspect.injection.answers.answer_tokens import AnswerTokens
from introspect.injection.engine.batch import IsOver, Pool
from introspect.injection.engine.dose import Doses, on_reference
from introspect.injection.engine.failures import Failure, UnreachableError, checked
from introspect.injection.engine.vectors_of_arms import added_vector, unit_push
from introspect.injection.prefix.clean_pass import clean_logprobs, least_for_answers
from introspect.injection.prefix.measuring import measured_cosines
from introspect.injection.prefix.prefix import Prefix, prefill
from introspect.injection.prefix.work import Work, least_for_prompt, least_for_trial
from introspect.injection.step.engines import EngineName
from introspect.injection.step.injector import Injector
from introspect.injection.step.steps import Steps
from introspect.models.tap import Tap
from introspect.prompts import Encoded
from introspect.protocols import silent_protocols
from introspect.records.response import Measure, Response
from introspect.records.trial import NOT_INJECTED, OF_ANOTHER, Site, Trial

PromptKey = tuple[str, tuple[tuple[str, str], ...]]
"""Hash of a template, and what it is filled in with."""
Key = tuple[PromptKey, int, str]
"""A prompt, a number of loops, and the exit: what trials of one batch have in common."""
MULTIPLIER = "multiplier"
"""Name of what is measured where a dose is in nats: what the vector was multiplied with."""
KEPT_PREFIXES = 32
"""Prompts whose states are kept; those of a large model take tens of megabytes each."""


def prompt_key(trial: Trial) -> PromptKey:
    """Return what a trial's prompt is found by."""
    return trial.template_hash, trial.variables


class Engine:
    """Runs trials on one model.

    Args:
        tap: access to the model's residual stream.
        prompts: the encoded prompts, by the template's hash and what it is filled in with.
        vectors: the concept vectors; None when no trial injects anything.
        deciders: for trials that end early, what tells that an answer needs no more, by `Sampling.decided_by`.
        steps: how the tokens after the first are run; InputError for what cannot be.
    """

    def __init__(
        self,
        tap: Tap,
        prompts: Mapping[PromptKey, Encoded],
        vectors: ConceptVectors | None = None,
        deciders: Mapping[str, IsOver] = MappingProxyType({}),
        steps: EngineName = "auto",
    ) -> None:
        self.tap, self.prompts, self.vectors, self.deciders = tap, prompts, vectors, deciders
        self.steps = Steps(tap, steps)
        self.answers = AnswerTokens(tap.looped.tokenizer)
        self.work = Work()
        """What was run so far, and the least that would have done."""
        self._prefixes: dict[Key, Prefix] = {}
        self._norms: dict[Key, dict[Site, float]] = {}
        self._doses = Doses(tap)

    def run(self, trials: Sequence[Trial], rows: int | None = None) -> list[Response | Failure]:
        """Run trials, at most `rows` side by side, and give for each, in their order, its response or why not.

        Trials of another prompt or number of loops are run after one another. Raises InputError for a trial that
        belongs to another model, other vectors or a prompt that is not known, before anything is run.
        """
        for trial in trials:
            self._check(trial)
        groups: dict[Key, list[int]] = {}
        for index, trial in enumerate(trials):
            groups.setdefault(key_of(trial), []).append(index)
        results: dict[int, Response | Failure] = {}
        before = self.tap.work
        with torch.inference_mode():
            for key, members in groups.items():
                results |= dict(zip(members, self._run_group(key, [trials[i] for i in members], rows), strict=True))
        self.work.done += self.tap.work - before
        self.work.least += sum(self._least(trials[index], result) for index, result in results.items())
        return [results[index] for index in range(len(trials))]

    def prefix(self, key: Key) -> Prefix:
        """Return the shared beginning of a prompt, run when it is first asked for; the last KEPT_PREFIXES are kept."""
        if key in self._prefixes:
            self._prefixes[key] = self._prefixes.pop(key)  # the one used last stands last
            return self._prefixes[key]
        if len(self._prefixes) == KEPT_PREFIXES:
            del self._prefixes[next(iter(self._prefixes))]
        prompt, n_loops, exit_ = key
        prefix = self._prefixes[key] = prefill(self.tap, self.prompts[prompt], n_loops, exit_)
        self.work.least += least_for_prompt(prefix, len(self.tap.looped.sites(n_loops)))
        return prefix

    def injector(self, trials: Sequence[Trial]) -> Injector:
        """Make what adds the vectors of these trials, one a row. Raises UnreachableError for a dose that is not met."""
        return self._injector([self.pushes(trial) for trial in trials])

    def pushes(self, trial: Trial) -> dict[Site, Tensor]:
        """Return what is added at each site of a trial, `(d_model,)` in float64. Raises UnreachableError as above."""
        if trial.injection is None:
            return {}
        assert self.vectors is not None  # checked before
        norms = self._clean_norms(trial) if trial.injection.unit == "residual" else {}
        multiplier = self._multiplier(trial) if trial.injection.unit == "kl" else None
        return {
            site: added_vector(trial, site, self.vectors, norms.get(site), multiplier) for site in trial.injection.sites
        }

    def _run_group(self, key: Key, trials: Sequence[Trial], rows: int | None) -> list[Response | Failure]:
        """Run trials of one prompt and number of loops; those whose dose is out of reach are not begun."""
        results: dict[int, Response | Failure] = {}
        planned: dict[int, dict[Site, Tensor]] = {}
        for index, trial in enumerate(trials):
            try:
                planned[index] = self.pushes(trial)
            except UnreachableError as error:
                results[index] = Failure(trial, str(error))
        begun = [trials[index] for index in planned]
        if begun:
            injector = self._injector(list(planned.values()))
            pool = Pool(self.tap, self.prefix(key), begun, injector, self.answers, self.deciders, rows, self.steps)
            answered = self._with_clean(key, pool.run(), rows or len(begun))
            self.work.least += pool.aside  # no answer needs them
            results |= dict(zip(planned, map(self._finished, begun, answered), strict=True))
        return [results[index] for index in range(len(trials))]

    def _with_clean(self, key: Key, results: Sequence[Response | Failure], rows: int) -> list[Response | Failure]:
        """Add how probable each answer is with nothing injected, where it was not known as it was drawn."""
        lacking = {r.token_ids for r in results if isinstance(r, Response) and r.clean_logprob is None}
        found = clean_logprobs(self.tap, self.prefix(key), sorted(lacking), rows)
        self.work.least += least_for_answers(sorted(lacking), len(self.tap.looped.sites(key[1])))
        return [
            replace(r, clean_logprob=found[r.token_ids]) if isinstance(r, Response) and r.clean_logprob is None else r
            for r in results
        ]

    def _injector(self, planned: Sequence[dict[Site, Tensor]]) -> Injector:
        return Injector(planned, self.tap.looped.dtype, self.tap.looped.device)

    def _finished(self, trial: Trial, result: Response | Failure) -> Response | Failure:
        """Add what is measured at the sites, and let no number pass that could not be stored."""
        return checked(trial, self._measured(trial, result))

    def _measured(self, trial: Trial, result: Response | Failure) -> Response | Failure:
        """Add what is measured at the sites where the question asks for it."""
        if isinstance(result, Response) and trial.injection is not None and trial.injection.unit == "kl":
            first = min(trial.injection.sites)
            times = Measure(MULTIPLIER, first.loop, first.layer, self._multiplier(trial))
            result = replace(result, measures=(*result.measures, times))
        if trial.protocol not in silent_protocols() or isinstance(result, Failure) or self.vectors is None:
            return result
        return replace(
            result, measures=result.measures + measured_cosines(self.prefix(key_of(trial)), self.vectors, trial.concept)
        )

    def _least(self, trial: Trial, result: Response | Failure) -> int:
        if isinstance(result, Failure):
            return 0
        sites = self.tap.looped.sites(trial.n_loops)
        first = None if trial.injection is None else sites.index(min(trial.injection.sites))
        return least_for_trial(self.prefix(key_of(trial)), len(sites), first, result)

    def _multiplier(self, trial: Trial) -> float:
        assert trial.injection is not None
        assert self.vectors is not None
        at_one = {site: unit_push(trial, site, self.vectors) for site in trial.injection.sites}
        measured = on_reference(trial)
        prefix, before = self.prefix(key_of(measured)), self.tap.work
        try:
            return self._doses.multiplier(prefix, measured, at_one)
        except UnreachableError as error:
            raise UnreachableError(f"trial {trial.id}: {error}") from None
        finally:
            self.work.least += self.tap.work - before  # what the search takes is not the trials' own

    def _clean_norms(self, trial: Trial) -> dict[Site, float]:
        key = key_of(trial)
        if key not in self._norms:
            self._norms[key] = self.prefix(key).norms()
        return self._norms[key]

    def _check(self, trial: Trial) -> None:
        looped = self.tap.looped
        encoded = self._prompt(trial)
        _same(trial, "weights hash", trial.weights_hash, looped.weights_hash)
        _same(trial, "dtype", trial.dtype, dtype_name(looped.dtype))
        _same(trial, "date", trial.date, encoded.date)
        if trial.sampling.decided_by not in (None, *self.deciders):
            raise unknown("decision of a grader", trial.sampling.decided_by, self.deciders)
        if (trial.injection is None) != (trial.arm in NOT_INJECTED):
            raise InputError(f"trial {trial.id}: arm {trial.arm!r} with injection {trial.injection}")
        if (trial.partner is None) == (trial.arm in OF_ANOTHER):
            raise InputError(f"trial {trial.id}: arm {trial.arm!r} with partner {trial.partner!r}")
        if trial.injection is None:
            return
        _same(trial, "vectors hash", trial.injection.vectors_hash, None if self.vectors is None else self.vectors.hash)
        self._check_states(trial, trial.injection.states)
        sites, weights = trial.injection.sites, trial.injection.weights
        if encoded.span_start == encoded.span_stop or len(set(sites)) != len(sites) or not sites:
            raise InputError(f"trial {trial.id}: it needs a prompt with an injection span, and sites, each once")
        if len(weights) not in (0, len(encoded.spans)):
            raise InputError(f"trial {trial.id}: {len(weights)} weights for {len(encoded.spans)} injection spans")
        for site in sites:
            looped.locate(site, trial.n_loops)

    def _check_states(self, trial: Trial, wanted: str | None) -> None:
        there = None if self.vectors is None or self.vectors.states is None else self.vectors.states.hash
        if trial.arm == "swap" and there is None:
            raise InputError(f"trial {trial.id}: the file of its concept vectors holds {NO_STATES}")
        _same(trial, "states hash", wanted, there if trial.arm == "swap" else None)

    def _prompt(self, trial: Trial) -> Encoded:
        try:
            return self.prompts[prompt_key(trial)]
        except KeyError:
            hashes = sorted({template_hash for template_hash, _ in self.prompts})
            raise unknown("template hash", trial.template_hash, hashes) from None


def key_of(trial: Trial) -> Key:
    """Return what the beginning of a trial is found by."""
    return prompt_key(trial), trial.n_loops, trial.sampling.exit


def _same(trial: Trial, what: str, wanted: str | None, there: str | None) -> None:
    if wanted != there:
        raise InputError(f"trial {trial.id} was made for {what} {wanted!r}; here it is {there!r}")
