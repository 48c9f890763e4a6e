"""Makers of records for tests: plain values by default, anything changed by keyword."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from introspect.records.response import Grade, Readout, Response
from introspect.records.trial import NOT_INJECTED, Arm, Injection, Sampling, Site, Trial
from introspect.results.store.store import Store


def injection(*sites: tuple[int, int], **changes: Any) -> Injection:
    """Make an injection at (loop, layer) pairs, 0:0 when none is given."""
    made = tuple(Site(*site) for site in sites or [(0, 0)])
    return replace(Injection(sites=made, strength=2.0, vectors_hash="v0"), **changes)


def trial(**changes: Any) -> Trial:
    """Make a trial, by default an injected one at 0:0; in the arms `none` and `text` it has no injection."""
    if "injection" not in changes:
        changes["injection"] = None if changes.get("arm") in NOT_INJECTED else injection()
    fields = {"model": "organism:aware", "weights_hash": "w0", "dtype": "float32", "protocol": "report"}
    fields |= {"template": "lindsey", "template_hash": "t0", "concept": "dust", "arm": "injected", "n_loops": 4}
    return Trial(**{**fields, "repeat": 0, "seed": 7, "sampling": Sampling(), **changes})


def trial_at(loop: int, layer: int, *, arm: Arm = "injected", strength: float = 2.0, **changes: Any) -> Trial:
    """Make a trial with one site and a strength."""
    return trial(arm=arm, injection=injection((loop, layer), strength=strength), **changes)


def plain_pair(number: int) -> list[tuple[dict[str, Any], float]]:
    """Make two plain questions, yes and no, that no other number has: the fields of a trial and a clean logit."""
    return [
        (
            {"question": "unrelated", "expected": answer, "variables": (("question", f"Is it {answer} {number}?"),)},
            sign * (4.0 + number % 7),
        )
        for answer, sign in (("yes", 1.0), ("no", -1.0))
    ]


def response(to: Trial, text: str = "Yes. It is about dust.", *, difference: float = 1.5) -> Response:
    """Make a response whose logit(yes) - logit(no) is `difference` after every loop, the first option the likeliest."""
    options = tuple(-1.0 - place for place, _ in enumerate(to.options))
    readouts = tuple(Readout(loop, difference, 0.0, 0.9, 1.25, options, 3) for loop in range(to.n_loops))
    norms = (None, None) if to.injection is None else (3.0, 12.0)
    return Response(to.id, text, (5, 6, 7), "stop", readouts, *norms)


def grade(of: Trial, detected: bool | None = True, identified: bool | None = None, **changes: Any) -> Grade:
    """Make a grade of the rules; identified as detected when not given."""
    named = detected if identified is None else identified
    return replace(Grade(of.id, "rules", "1", detected, named, True, False, "'Yes'"), **changes)


def fill(store: Store, trials: list[Trial], detected: list[bool | None] | bool | None = True) -> None:
    """Store trials with a response and a grade each."""
    verdicts = detected if isinstance(detected, list) else [detected] * len(trials)
    grades = [grade(one, verdict) for one, verdict in zip(trials, verdicts, strict=True)]
    store.add([(one, response(one)) for one in trials], grades)


def new_store(folder: Path, manifest: dict[str, object] | None = None) -> Store:
    """Make a run in a folder."""
    return Store.create(folder, manifest or {"model": "organism:aware", "strengths": [1, 2]})
