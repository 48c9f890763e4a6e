"""The prompts that options lead to, in a model's tokens, and what of them is checked before the weights are loaded."""

from dataclasses import replace

from introspect.concepts.contrast_prompts import Contrast
from introspect.errors import InputError
from introspect.experiment.design_version import reference_of
from introspect.experiment.options import Options
from introspect.prompts import Encoded, Prompts, encode
from introspect.prompts.spans import Tokenizer
from introspect.protocols import Occasion


def prompts_of(options: Options, design: int, tokenizer: Tokenizer) -> Prompts:
    """Return the prompts of all questions, and that on which doses are measured."""
    reference = reference_of(design, options)
    asked = [template for _, template in options.variants()]
    return Prompts(asked if reference is None else [*asked, reference], tokenizer)


def first_prompts(options: Options, prompts: Prompts) -> list[tuple[Encoded, int]]:
    """Return prompt of every question for the first concept, made and checked, and the tokens of a longest answer."""
    words, most = options.words(), options.max_new_tokens
    occasion = Occasion(words[0], words, 0, options.numbers()[0])
    return [
        (
            prompts[variant.template_hash, tuple(sorted(asked.variables.items()))],
            min(most, variant.question.max_new_tokens or most),
        )
        for variant, _ in options.variants()
        for asked in variant.question.ask(occasion)
    ]


def check_length(options: Options, prompts: Prompts, positions: int | None) -> None:
    """Raise InputError for a prompt that is longer than the model's longest text."""
    longest = max(len(encoded.token_ids) for encoded, _ in first_prompts(options, prompts))
    if positions is not None and longest > positions:
        raise InputError(f"model {options.model!r}: a prompt has {longest} tokens, its longest text has {positions}")


def dated(options: Options, prompts: Prompts, contrast: Contrast, tokenizer: Tokenizer) -> Options:
    """Return the options with the day that some prompt of the run hangs on, or none where none does."""
    made = [
        *(encoded for encoded, _ in first_prompts(options, prompts)),
        encode(contrast.prompts[0], tokenizer, need_span=False),
    ]
    written = {encoded.date for encoded in made if encoded.date is not None}
    if options.date is not None and not written:
        raise InputError(f"date {options.date!r}: the chat template of model {options.model!r} writes no date")
    return replace(options, date=next(iter(written), None))
