"""One-line texts of errors."""

from __future__ import annotations

_SHORT = (
    "insufficient memory",
    "out of memory",
    "not enough memory",
    "unable to allocate",
    "cannot allocate",
)
"""What errors of decoders and of the system say where memory was short."""
_LONGEST = 400
"""Characters of a library's message; some of them quote what they could not read."""


def one_line(error: BaseException) -> str:
    """The message with its line breaks as blanks, cut to :data:`_LONGEST` characters; the error's class
    where it says nothing.

    Where memory was short it says so, whatever was being done.
    """
    if short_of_memory(error):
        text = " ".join(str(error).split()[:30]) or type(error).__name__
        return text if "not enough memory" in text else f"not enough memory ({text})"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def short_of_memory(error: BaseException) -> bool:
    """Whether memory was short; decoders of images say so in errors of their own."""
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause).lower()
        said = any(words in text for words in _SHORT)
        if isinstance(cause, MemoryError) or said:
            return True
        cause = cause.__cause__
    return False


def unreadable(where: object, what: str, error: Exception) -> ValueError:
    """The error of a file: ``what`` is wrong with it, and why; where memory was short, that alone.

    One that names the file already is that error.
    """
    if isinstance(error, ValueError) and str(error).startswith(str(where)):
        return error
    reason = one_line(error)
    return ValueError(
        f"{where}: {reason}" if short_of_memory(error) else f"{where}: {what} ({reason})"
    )


def shown(value: object) -> str:
    """What was found instead, quoted: the beginning of it where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
