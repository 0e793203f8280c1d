"""Console output: every character in a form that the console can show, and no chatter of libraries."""

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
    """Makes stdout and stderr write plain letters for characters that their encoding lacks.

    Such encodings are GBK, cp932 and ASCII.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="cosynth")


def quiet() -> None:
    """Silences messages of other libraries, in which our one line would drown."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")  # for dask's workers too
    for name in ("lightning.pytorch", "lightning.fabric", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # The readers of slides and images have error texts of their own for files that tifffile cannot read.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="lightning")
