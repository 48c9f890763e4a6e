"""What is seen to be wrong without a model and without torch: each is refused before anything is loaded or written.

Goes in: the options of a sweep. Comes out: nothing, or an InputError that names the option.
"""

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from introspect.concepts.pairs import SHIPPED_PAIRS
from introspect.errors import InputError, unknown
from introspect.experiment.value_types import check_types
from introspect.injection.plan.grid import check_counts, check_sampling
from introspect.injection.step.engines import check_engine
from introspect.models.looped_layers import LOOP_STEPS
from introspect.models.named import place_of, tokenizer_place
from introspect.prompts import START, render
from introspect.prompts.dates import checked_day
from introspect.protocols import Occasion
from introspect.records.trial import OF_ANOTHER
from introspect.results.store.store import Store
from introspect.selection import check_selection, one_of

if TYPE_CHECKING:
    from introspect.experiment.options import Options

DEVICE = re.compile(r"auto|(cpu|cuda|mps)(:[0-9]+)?")
LEAST_OF_SPAN = 4
"""Three others span a plane of differences, in which a direction can be drawn."""
_DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")


def check_options(options: "Options") -> None:
    """Raise InputError for an option that cannot be read, or that contradicts another."""
    check_types(vars(options), type(options))
    if options.pairs not in SHIPPED_PAIRS and options.contrast != "pairs":
        raise InputError(f"pairs {options.pairs!r}: is for --contrast pairs, not {options.contrast}")
    for choice in (
        "chosen_arms",
        "chosen_graders",
        "chosen_coherence",
        "strength_values",
        "mode",
        "unit",
        "numbers",
        "chosen_stages",
        "steps",
    ):
        getattr(options, choice)()
    check_counts(batch_size=options.batch_size, repeats=options.repeats, workers=options.workers)
    if options.remaining_loops is not None and options.remaining_loops < 0:
        raise InputError(f"remaining_loops {options.remaining_loops}: must be 0 or more")
    options.totals(1)
    check_sampling(options.sampling)
    checked_day(options.date)
    _check_where(options)
    _check_device(options)
    _check_prompts(options)
    options.chosen_contrast()
    _check_partner(options)
    _check_span(options)


def check_surroundings(options: "Options", *, for_run: bool = True) -> None:
    """Raise InputError for a model that is not there, or a folder that holds another run or something else.

    Without `for_run` nothing is going to be stored, and the folder is not looked at.
    """
    if options.device != "auto":  # what that is on this machine, torch knows
        check_engine(options.steps(), options.device.partition(":")[0])
    place_of(options.model, options.revision)
    if options.tokenizer is not None:
        tokenizer_place(options.tokenizer)
    if for_run:
        known = {**dict.fromkeys(("tokenizer", "loop_layers")), **options.identity()}  # a run may have either
        if known["dtype"] == "auto":  # what that is on this machine, torch knows; a run has the format's own name
            del known["dtype"]
        Store.refuse_other(options.folder, known)


def _check_where(options: "Options") -> None:
    """Hold that the places can be read; whether the model has them is seen later."""
    for option in ("loops", "layers", "extract_loops", "loop_layers"):
        text = getattr(options, option)
        if text is not None and (option, text) != ("extract_loops", "same"):
            check_selection(text, option=option)
    one_of(options.loop_step, LOOP_STEPS, kind="loop step")


def _check_device(options: "Options") -> None:
    one_of(options.dtype, _DTYPES, kind="dtype")
    if not DEVICE.fullmatch(options.device):
        raise unknown("device", options.device, ("auto", "cpu", "cuda", "cuda:1", "mps"))
    if options.ray is None:
        return
    if find_spec("ray") is None:
        raise InputError(f'ray {options.ray!r}: Ray is not installed; pip install "introspect-loops[ray]"')
    if not options.ray:
        raise InputError("ray '': must be local or the address of a cluster, such as auto or head:6379")
    if ":" in options.device:
        raise InputError(f"device {options.device!r} with ray: Ray gives each worker its GPU; say cuda or auto")


def _check_prompts(options: "Options") -> None:
    words = options.words()
    for variant, template in options.variants():
        for asked in variant.question.ask(Occasion(words[0], words, 0)):
            if not render(template, **asked.variables).marks:
                raise InputError(f"template {template.name!r} has no injection span; write {START} where it begins")


def _check_partner(options: "Options") -> None:
    """Hold that there is another concept for the arms `wrong` and `opposite`."""
    words = options.chosen_contrast().words
    of_another = set(OF_ANOTHER) & set(options.chosen_arms())
    if of_another and len(words) < 2:
        others = ",".join(arm for arm in options.chosen_arms() if arm not in OF_ANOTHER)
        raise InputError(
            f"concepts {words[0]!r}: the arm {of_another.pop()} injects another concept and needs at least 2; "
            f"give more, or --arms {others}"
        )


def _check_span(options: "Options") -> None:
    """Hold that the other concepts span something for the arm `in-span`."""
    words = options.chosen_contrast().words
    if "in-span" in options.chosen_arms() and len(words) < LEAST_OF_SPAN:
        raise InputError(
            f"concepts {', '.join(words)}: the arm in-span draws in the span of the others and needs at least "
            f"{LEAST_OF_SPAN} concepts; give more, or leave the arm out"
        )
