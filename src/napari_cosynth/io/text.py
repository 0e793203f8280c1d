"""Encodings of text files, by the byte order mark that Notepad and Excel write first."""

from __future__ import annotations

import codecs
from pathlib import Path

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def encoding_of(path: Path) -> str:
    """The encoding to open a text file with: UTF-8, or UTF-16 or 32 by their byte order mark.

    A mark before UTF-8 is skipped. Raises OSError if the file cannot be opened.
    """
    with path.open("rb") as file:
        return encoding_by(file.read(4))


def encoding_by(start: bytes) -> str:
    """The encoding of a text file, as of :func:`encoding_of`, by its first four bytes."""
    found = (encoding for mark, encoding in _MARKS.items() if start.startswith(mark))
    return next(found, "utf-8-sig")


def beginning(start: bytes) -> str:
    """The text of a file's first bytes, whose last character may be cut off."""
    return codecs.getincrementaldecoder(encoding_by(start))("replace").decode(start)
