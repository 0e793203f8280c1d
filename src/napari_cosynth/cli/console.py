"""A console that cannot show a character shows another: no command fails for its µ."""

from __future__ import annotations

import codecs
import sys

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
