"""Silence for transformers and the hub's client while a model is loaded: our commands print their own lines only.

Goes in: nothing. Comes out: a context in which nothing is printed, and the settings as they were afterwards.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging import CRITICAL

from huggingface_hub.utils import logging as hub
from huggingface_hub.utils.tqdm import enable_progress_bars
from transformers.utils import logging


@contextmanager
def quiet() -> Iterator[None]:
    """Silence bars, advice and retries, and put the settings back; a download still shows on a terminal."""
    levels, bars = (logging.get_verbosity(), hub.get_verbosity()), logging.is_progress_bar_enabled()
    logging.set_verbosity(CRITICAL)
    hub.set_verbosity(CRITICAL)
    if bars:
        logging.disable_progress_bar()
        if sys.stderr.isatty():
            enable_progress_bars()  # the hub's own, which the line above took along
    try:
        yield
    finally:
        logging.set_verbosity(levels[0])
        hub.set_verbosity(levels[1])
        if bars:
            logging.enable_progress_bar()
