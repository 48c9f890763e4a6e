"""The opening of a laboratory: all that can be checked without weights is checked first, the run's folder last."""

from introspect.experiment.design_version import DESIGN, design_of
from introspect.experiment.laboratory.grid_of_options import check_plan
from introspect.experiment.laboratory.laboratory import Laboratory
from introspect.experiment.laboratory.prompts import check_length, dated, prompts_of
from introspect.experiment.options import Options
from introspect.experiment.preconditions import check_surroundings
from introspect.experiment.spelling import respelled
from introspect.families.loading import load_model, peek
from introspect.families.placement import device_named, dtype_name, dtype_named
from introspect.injection.answers.answer_tokens import AnswerTokens
from introspect.models.tap import Tap
from introspect.prompts.dates import fix_day, today
from introspect.results.store.store import Store


def open_laboratory(options: Options, *, for_run: bool = True, design: int = DESIGN) -> Laboratory:
    """Load the model, after checking without its weights what can be checked without them, the run's folder last.

    Without `for_run` nothing is going to be stored, and the folder is not looked at. A run that is there keeps its
    design; else it is `design`.
    """
    stored = Store.manifest_in(options.folder) if for_run else {}
    options = respelled(options, stored)
    check_surroundings(options, for_run=for_run)
    dtype = dtype_name(dtype_named(options.dtype, device_named(options.device)))
    outline = peek(options.model, **options.source)
    check_plan(options, outline, dtype)
    contrast = options.chosen_contrast()
    design = design_of(stored, design, options.folder)
    day = options.date or stored.get("date") or today()
    fix_day(outline.tokenizer, day)
    prompts = prompts_of(options, design, outline.tokenizer)
    options = dated(options, prompts, contrast, outline.tokenizer)
    check_length(options, prompts, outline.positions)
    AnswerTokens(outline.tokenizer)
    if for_run:
        Store.refuse_other(options.folder, {**options.identity(), "dtype": dtype})
    looped = load_model(options.model, device=options.device, dtype=options.dtype, **options.source)
    fix_day(looped.tokenizer, day)
    looped.exit_arguments(options.exit)
    return Laboratory(options, Tap(looped), prompts, contrast, design)
