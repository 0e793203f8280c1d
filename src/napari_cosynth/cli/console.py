"""What reaches the console: every character as it can be shown, and no chatter of libraries."""

from __future__ import annotations

import codecs
import logging
import os
import sys
import warnings

_PLAIN = {
    "µ": "u",
    "–": "-",
    "—": "-",
    "·": ".",
    "×": "x",
    "±": "+-",
    "²": "2",
    "→": "->",
    "σ": "s",
}


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(letter, "?") for letter in text), error.end


codecs.register_error("cosynth", _replaced)


def show_everything() -> None:
    """Makes stdout and stderr write what their encoding lacks (GBK, cp932, ASCII) in plain letters."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="cosynth")


def quiet() -> None:
    """Third-party chatter that would drown our one line."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")  # of its workers too
    for name in ("lightning.pytorch", "lightning.fabric", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # What it cannot make sense of, the readers of slides and images say in lines of their own.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="lightning")
