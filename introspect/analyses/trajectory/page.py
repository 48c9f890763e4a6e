"""The interactive page: paths that can be turned, in one HTML file that asks for nothing and runs its own script only.

Goes in: drawn paths. Comes out: HTML, whose only script and style are allowed by their hashes; texts are escaped.
"""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from introspect.analyses.trajectory.path_drawing import Drawn
from introspect.analyses.trajectory.path_figures import OUTSIDE, colours_of

_ENVIRONMENT = ImmutableSandboxedEnvironment(
    loader=PackageLoader("introspect.analyses.trajectory"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_DIGITS = 5
"""Significant digits of a place on the page."""


def drawing_page(drawings: Sequence[Drawn], title: str) -> str:
    """Make the page of one drawing or more."""
    script, style = (_ENVIRONMENT.get_template(f"paths.{kind}.j2").render() for kind in ("js", "css"))
    return _ENVIRONMENT.get_template("paths.html.j2").render(
        title=title,
        drawings=[_plain(each) for each in drawings],
        script=Markup(script),  # our own file: it holds no text of a model
        style=Markup(style),
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


def _plain(drawn: Drawn) -> dict[str, Any]:  # Any: JSON
    colours = colours_of(drawn)
    shades = dict(zip(drawn.loops, colours, strict=True))
    loops = [[f"loop {loop}", shade] for loop, shade in shades.items() if 0 <= loop < drawn.n_loops]
    steps = [[_rounded(step) for step in lengths.tolist()] for lengths in drawn.steps]
    return {
        "title": drawn.title,
        "names": drawn.names,
        "colours": colours,
        "legend": [*loops, ["before and behind the loops", OUTSIDE]],
        "injected": drawn.injected,
        "shares": drawn.shares,
        "steps": dict(zip(("trial", "control"), steps, strict=True)),
        "trial": [[_rounded(value) for value in place] for place in drawn.trial.tolist()],
        "control": [[_rounded(value) for value in place] for place in drawn.control.tolist()],
    }


def _hash(text: str) -> str:
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
