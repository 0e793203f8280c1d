"""Text files of any editor: the byte order mark that Notepad and Excel put first is no content."""

from __future__ import annotations

import codecs
from pathlib import Path

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def encoding_of(path: Path) -> str:
    """What to open a text file with: UTF-8, with a mark or without, or UTF-16, which has one.

    Raises OSError where the file cannot be opened.
    """
    with path.open("rb") as file:
        return encoding_by(file.read(2))


def encoding_by(start: bytes) -> str:
    """The same by the first two bytes of a file."""
    return "utf-16" if start[:2] in _UTF_16 else "utf-8-sig"
