"""What is known of the shipped organisms' effects, from how they were trained.

Measured at one layer at strength 2, averaged over loops, so that none is selected.
"""

from introspect.calibration.effect_checks import ABOVE_0, EffectTruth
from introspect.calibration.effect_measures import beyond_another, beyond_text, plain_mass, plain_slope
from introspect.calibration.truth_cells import EARLIER, EVERY_LOOP, LAST_LOOP

MOSTLY = (0.9, float("inf"))
"""A mean probability; its interval may reach beyond 1."""
LESS_THAN_HALF = (-0.5, 0.5)

_PRIMARY = (
    EffectTruth("aware", "has a primary contrast, strength 2", ABOVE_0, EVERY_LOOP),
    EffectTruth("last-loop", "has a primary contrast in the last loop, strength 2", ABOVE_0, (LAST_LOOP,)),
    EffectTruth("last-loop", "has none in earlier loops, strength 2", None, EARLIER),
    EffectTruth("blind", "has no primary contrast, strength 2", None, EVERY_LOOP),
)
_BESIDE = (
    EffectTruth("aware", "notices more than the concept's word in the text does", ABOVE_0, EVERY_LOOP, beyond_text),
    EffectTruth("blind", "has no more of it about itself than about another", None, EVERY_LOOP, beyond_another),
)
_PLAIN = (
    *(
        EffectTruth(organism, "begins plain answers with yes or no", MOSTLY, EVERY_LOOP, plain_mass)
        for organism in ("aware", "last-loop", "blind")
    ),
    *(
        EffectTruth(organism, "keeps plain answers apart, slope, strength 2", LESS_THAN_HALF, EVERY_LOOP, plain_slope)
        for organism in ("aware", "last-loop")
    ),
)
"""Both were taught the same plain answers whatever is injected; `blind` was not."""
EFFECT_TRUTHS: tuple[EffectTruth, ...] = (*_PRIMARY, *_BESIDE, *_PLAIN)
