"""Words for errors: one line, and the closest known name for an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHORT = (
    "insufficient memory",
    "out of memory",
    "not enough memory",
    "unable to allocate",
    "cannot allocate",
)
"""Phrases by which decoders and the system report that memory ran out."""
_LONGEST = 400
"""Most characters of a library's message that are shown; some quote the data they could not read."""


def one_line(error: BaseException) -> str:
    """The error's message on one line, cut to :data:`_LONGEST` characters.

    An empty message is replaced by the name of the error's class. If memory ran out, the text says so.
    """
    if short_of_memory(error):
        text = " ".join(str(error).split()[:30]) or type(error).__name__
        return text if "not enough memory" in text else f"not enough memory ({text})"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def short_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, by the error or its causes; image decoders raise errors of their own."""
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause).lower()
        said = any(words in text for words in _SHORT)
        if isinstance(cause, MemoryError) or said:
            return True
        cause = cause.__cause__
    return False


def unreadable(where: object, what: str, error: Exception) -> ValueError:
    """ValueError ``"WHERE: WHAT (reason)"`` for a file that could not be read.

    If memory ran out, it says only that. A ValueError that already names the file is returned as it is.
    """
    if isinstance(error, ValueError) and str(error).startswith(str(where)):
        return error
    reason = one_line(error)
    return ValueError(
        f"{where}: {reason}" if short_of_memory(error) else f"{where}: {what} ({reason})"
    )


def shown(value: object) -> str:
    """``repr`` of a value for an error text, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """``" (did you mean 'NAME'?)"``, or an empty text if no known name is similar. Ignores case."""
    by_lower = {one.lower(): one for one in known}
    found = get_close_matches(name.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[found[0]]!r}?)" if found else ""


def one_of(name: object, known: Iterable[str]) -> str:
    """``"expected one of A, B, C, got 'X'"``, with the closest match if there is one."""
    names = list(known)
    return f"expected one of {', '.join(names) or 'none'}, got {name!r}{nearest(str(name), names)}"
