"""A trial with one thing changed, for following it up: what may change, and what would make no sense.

Goes in: a trial and changes by the names of the table's columns. Comes out: another trial, with another id.
"""

import sys
from dataclasses import fields, replace
from typing import Any

from introspect.errors import InputError
from introspect.experiment.value_types import check_types
from introspect.injection.plan.grid import check_counts, check_sampling
from introspect.protocols import PROTOCOLS
from introspect.records.trial import ARMS, NOT_INJECTED, OF_ANOTHER, STRENGTH_UNITS, Injection, Sampling, Site, Trial
from introspect.selection import one_of, shown

_END = 2**64
"""Seeds are keys of as many bits."""
_OWN = ("concept", "partner", "arm", "n_loops", "repeat", "seed")
OF_INJECTION = ("loop", "layer", "sites", "strength", "extract_loop", "unit", "states")
_PLACE = ("loop", "layer", "sites")
OF_SAMPLING = tuple(field.name for field in fields(Sampling))
CHANGEABLE = (*_OWN, *OF_INJECTION, *OF_SAMPLING)


def changed(trial: Trial, **changes: Any) -> Trial:  # Any: fields of three records
    """Return the trial with some fields changed, those of its injection and sampling by their own names.

    `loop` and `layer` move an injection at one site; `sites` takes (loop, layer) pairs. The arms `wrong` and
    `opposite` need `partner`, the concept whose vector is injected, and `swap` needs `states`, the hash of the states
    among which it draws. Raises InputError for a change that cannot be made.
    """
    for name in changes:
        if name not in CHANGEABLE:
            raise InputError(f"a trial has nothing called {name!r} to change; it has {', '.join(CHANGEABLE)}")
    own, of_injection, drawn = (
        {name: value for name, value in changes.items() if name in group} for group in (_OWN, OF_INJECTION, OF_SAMPLING)
    )
    check_types(own, Trial)
    check_types(drawn, Sampling)
    varied = replace(trial, partner=None, sampling=replace(trial.sampling, **drawn))
    if own.get("arm", trial.arm) in OF_ANOTHER:
        varied = replace(varied, partner=trial.partner)
    varied = replace(varied, **own)
    one_of(varied.arm, ARMS, kind="arm")
    check_counts(n_loops=varied.n_loops)
    for name, value in (("repeat", varied.repeat), ("seed", varied.seed)):
        if not 0 <= value < _END:
            raise InputError(f"{name} {value}: must be 0 or more, and below 2**64")
    check_sampling(varied.sampling)
    _check_words(trial, varied)
    varied = replace(varied, injection=_injection(trial, varied.arm, of_injection), variables=_variables(varied))
    return replace(varied, expected=_expected(varied))


def _check_words(trial: Trial, varied: Trial) -> None:
    """Refuse a wrong arm without another concept, and another concept where the question itself names the first."""
    of_another = varied.arm in OF_ANOTHER
    if of_another != (varied.partner is not None):
        need = "needs partner, the concept whose vector is injected" if of_another else "has no partner"
        raise InputError(f"arm {varied.arm!r} {need}")
    said = [*(value for name, value in trial.variables if name != "written"), *trial.options]
    if varied.concept != trial.concept and any(trial.concept.casefold() in text.casefold() for text in said):
        raise InputError(f"concept: cannot change in the question {trial.question!r}, which names {trial.concept!r}")


def _variables(varied: Trial) -> tuple[tuple[str, str], ...]:
    """Write the concept into the prompt in the arm `text`, and in no other."""
    kept = {name: value for name, value in varied.variables if name != "written"}
    return tuple(sorted({**kept, **({"written": varied.concept} if varied.arm == "text" else {})}.items()))


def _expected(varied: Trial) -> str | None:
    """Return the right answer, anew where it hangs on where the injection is."""
    protocol, injection = PROTOCOLS.get(varied.protocol), varied.injection
    for question in protocol.questions if protocol else ():
        if question.name == varied.question and question.expects is not None:
            loops = () if injection is None else tuple(dict.fromkeys(site.loop for site in injection.sites))
            return question.expects(loops, varied.n_loops, () if injection is None else injection.weights)
    return varied.expected


def _injection(trial: Trial, arm: str, changes: dict[str, Any]) -> Injection | None:  # Any: fields of an injection
    if arm in NOT_INJECTED:
        if changes:
            raise InputError(f"{', '.join(changes)}: cannot change in the arm {arm!r}, which has no injection")
        return None
    if trial.injection is None:
        raise InputError(f"trial {trial.id} has no injection to change; start from an injected trial")
    check_types({name: value for name, value in changes.items() if name not in _PLACE}, Injection)
    if not abs(changes.get("strength", trial.injection.strength)) <= sys.float_info.max:
        raise InputError(f"strength {changes['strength']}: must be a finite number")
    changes = {**changes, "sites": _sites(trial.injection, changes)}
    kept = {name: value for name, value in changes.items() if name not in ("loop", "layer")}
    injection = replace(trial.injection, **{"states": trial.injection.states if arm == "swap" else None, **kept})
    if (arm == "swap") != (injection.states is not None):
        need = "needs states, the hash of those among which it draws" if arm == "swap" else "has no states"
        raise InputError(f"arm {arm!r} {need}")
    one_of(injection.unit, STRENGTH_UNITS, kind="strength unit")
    return injection


def _sites(injection: Injection, changes: dict[str, Any]) -> tuple[Site, ...]:
    moved: dict[str, Any] = {name: changes[name] for name in ("loop", "layer") if name in changes}
    if "sites" in changes:
        if moved:
            raise InputError("give sites, or loop and layer, not both")
        return _pairs(changes["sites"])
    check_types(moved, Site)
    if not moved:
        return injection.sites
    if len(injection.sites) > 1 and len(moved) < 2:
        raise InputError(f"the injection has {len(injection.sites)} sites; give sites, or both loop and layer")
    return (replace(injection.sites[0], **moved),)


def _pairs(sites: object) -> tuple[Site, ...]:
    """Read sites, or pairs of loop and layer, in running order."""
    try:
        read = [site if isinstance(site, Site) else Site(*site) for site in sites]  # type: ignore[attr-defined]
    except TypeError:
        raise InputError(f"sites {shown(repr(sites))}: must be pairs of a loop and a layer, such as (0, 3)") from None
    for site in read:
        check_types(vars(site), Site)
    if not read:
        raise InputError("sites []: an injection has at least one")
    return tuple(sorted(read))
