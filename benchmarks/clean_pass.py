"""What the clean pass costs: the same trials with and without the log-probability of their answers, in turn.

    python -m benchmarks.clean_pass [--trials 128] [--new-tokens 40] [--rounds 5]
    python -m benchmarks.clean_pass --model path/to/model.gguf --trials 32

Prints seconds per trial of both and their ratio within each round. The clean pass runs each distinct answer once more,
side by side, from the kept states of the prompt.
"""

from functools import partial

import typer

from benchmarks.lesser_engines import EngineWithoutCleanPass
from benchmarks.setting import PROMPT, WORDS, Setting, named_setting, setting
from benchmarks.timing import Variant, in_turn, ratio, show, show_machine
from introspect.concepts.contrast_prompts import baseline_contrast
from introspect.concepts.extraction import measure
from introspect.concepts.sets import read_choice
from introspect.families.loading import load_model
from introspect.models.tap import Tap


def main(model: str = "organism", trials: int = 128, new_tokens: int = 40, rounds: int = 5, rows: int = 64) -> None:
    """Time both, round after round."""
    show_machine()
    made = named_setting(model) if model in ("organism", "wide") else setting_of(model)
    asked = made.trials(trials, new_tokens, n_sites=4)
    bare = EngineWithoutCleanPass(made.tap, {PROMPT: made.encoded}, made.vectors)
    engines = {"with the clean pass": made.engine, "without": bare}
    variants = [Variant(name, partial(engine.run, asked, rows), trials) for name, engine in engines.items()]
    for variant in variants:
        variant.run()  # to warm up
    taken = in_turn(variants, rounds)
    with_it, without = taken.values()
    rows_shown = [(name, f"{min(times):.4f}") for name, times in taken.items()]
    show(f"{model}: {trials} trials of {new_tokens} new tokens", ("engine", "least seconds per trial"), rows_shown)
    show("ratio, round by round", ("with the clean pass to without",), [(str(ratio(with_it, without)),)])


def setting_of(model: str) -> Setting:
    """Return the setting of any model that can be loaded, with vectors of its own."""
    looped = load_model(model, device="cpu")
    concepts, chosen = read_choice("published", default="published")
    tap = Tap(looped)
    vectors = measure(tap, baseline_contrast(chosen.words[:WORDS], concepts.baseline.words[:WORDS]))
    return setting(looped, looped.model, vectors, tap=tap)


if __name__ == "__main__":
    typer.run(main)
