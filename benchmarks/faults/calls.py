"""Calls from a grammar: any command, with any of its options and arguments, holding what is usual or what is odd."""

from functools import cache
from typing import Any

import typer
from hypothesis import strategies as st

from introspect.cli import app

HUGE, DIGITS = "1-1000000000", "9" * 5000
ODD = ", - -- -1 nan inf 1e999 0- all, ² 日本 /dev/null no/such C:\\x organism:nosuch %s ~ . .. ' RUN FILE NOWHERE"
"""What nobody would mean; words in capitals are places."""
USUAL = (
    "0 1 2 3 0.5 all 0,1 0-2 dust dust,snow published organisms:held-out organism:blind TINY RUN OUT rules logits "
    "detect choose prior injected injected,none residual kl cpu float32 gate last neutral core 2026-11-28 csv png"
)
"""What somebody might mean, with this option or with another one."""
odd = st.sampled_from([*ODD.split(), "", "a\nb", "\udcff", "{{ 1 }}", "x" * 9000, HUGE, DIGITS])
odd |= st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0/"), max_size=12)
values = st.one_of(st.sampled_from(USUAL.split()), st.sampled_from(USUAL.split()), odd)
"""What an option or an argument holds."""
DRY = ("sweep", "dynamics", "monitor", "trajectory")
"""Commands that are only ever asked to count."""
LEFT_OUT = {"calibrate"}
"""It sweeps for minutes whatever it is given."""


@cache
def commands() -> dict[str, Any]:
    """Return typer's own objects of the commands, by name."""
    made: Any = typer.main.get_command(app)  # Any: typer keeps its classes in another place in each version
    return {name: command for name, command in made.commands.items() if name not in LEFT_OUT}


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, ...]:
    """Draw the words of a call; RUN, TINY, FILE, OUT and NOWHERE stand for places."""
    name = draw(st.sampled_from(sorted(commands())))
    arguments = [each for each in commands()[name].params if each.param_type_name == "argument"]
    options = [each for each in commands()[name].params if each.param_type_name == "option" and each.name != "help"]
    usual = {"run": "RUN", "model": "TINY", "run_a": "RUN", "run_b": "RUN"}
    words = [draw(st.just(usual[each.name]) | values) if each.name in usual else draw(values) for each in arguments]
    words = words[: draw(st.integers(0, len(words)) | st.just(len(words)))]
    for option in draw(st.lists(st.sampled_from(options), max_size=4)) if options else ():
        flag = draw(st.sampled_from([*option.opts, *option.secondary_opts]))
        words += [flag] if option.is_flag else [flag, draw(values)]
    return (name, *words, *(["--dry-run"] if name in DRY else []))


def filled(call: tuple[str, ...], places: dict[str, str]) -> list[str]:
    """Put places in, also as parts of words."""
    return [places.get(word, word) for word in call]
