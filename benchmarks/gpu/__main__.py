"""Runs the program where the room is run: `python -m benchmarks.gpu`."""

import typer

from benchmarks.gpu.program import main

typer.run(main)
