"""What an error says, in a line."""

from __future__ import annotations


def one_line(error: BaseException) -> str:
    """The message with its line breaks as blanks; the error's class where it says nothing.

    Where memory was short it says so, whatever was being done.
    """
    if isinstance(error, MemoryError):
        return " ".join(["not enough memory", *str(error).split()][:30])
    return " ".join(str(error).split()) or type(error).__name__
