"""JSON and MATLAB files: read without running anything in them; every failure names the file."""

from __future__ import annotations

import codecs
import gc
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from napari_cosynth.io.errors import unreadable
from napari_cosynth.io.text import encoding_by

LARGEST_JSON = 2**31
"""Bytes; a slide of 500,000 outlined nuclei takes half of it."""
_GZIP = b"\x1f\x8b"
_BLOCK = 2**20
"""Bytes that are looked through at once."""
LARGEST_VARIABLE = 2**31
"""Bytes of one variable of a MATLAB file, by its own header."""


def read_json(path: Path, largest: int = LARGEST_JSON) -> Any:
    """A JSON file's content, of at most ``largest`` bytes; one that is gzipped is told by its beginning.

    Raises ValueError naming the file, and the line where it is damaged.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if (size := path.stat().st_size) > largest:
        raise ValueError(f"{path}: expected at most {largest} bytes, got {size}")
    blocks, read = [], 0
    with _unpacked(path) as file:
        # One read of so many bytes would reserve them all.
        while read <= largest and (block := file.read(_BLOCK)):
            blocks.append(block)
            read += len(block)
    content = b"".join(blocks)
    if read > largest:
        raise ValueError(f"{path}: expected at most {largest} bytes, got more once unpacked")
    try:
        with _no_collection():
            return json.loads(content.decode(encoding_by(content)))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None


def holds_words(path: Path, words: Sequence[str], within: int | None = None) -> bool:
    """Whether all of some words occur in a JSON file, or in its first bytes, which is not parsed.

    Raises ValueError naming the file where it cannot be read.
    """
    missing = set(words)
    longest = max(map(len, words))
    with _unpacked(path) as file:
        block = file.read(_BLOCK if within is None else within)
        decoder = codecs.getincrementaldecoder(encoding_by(block))("replace")
        tail = ""
        while missing and block:
            text = tail + decoder.decode(block)
            missing = {word for word in missing if word not in text}
            tail = text[-longest:]
            block = file.read(_BLOCK) if within is None else b""
    return not missing


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the collector of circular garbage, which JSON has none of: it walks all that was read
    time and again, a third of the time for many small objects."""
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if active:
            gc.enable()


@contextmanager
def _unpacked(path: Path) -> Iterator[BufferedIOBase]:
    """A JSON file's bytes. Raises ValueError naming the file where they cannot be read."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        with path.open("rb") as file:
            yield gzip.GzipFile(fileobj=file) if packed else file
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ValueError(f"{path}: cannot be read as JSON ({reason})") from None


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file (version 7.2 or older) by name."""
    from scipy.io import loadmat, whosmat

    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        for name, shape, _ in whosmat(path):
            values = 1
            for side in shape:
                values *= int(side)
            if values > LARGEST_VARIABLE:
                raise ValueError(f"{name}: absurd shape {shape}")
        content = loadmat(path)
    except Exception as error:  # scipy raises what it likes on damaged files
        raise unreadable(path, "cannot be read as a MATLAB file", error) from None
    return {k: v for k, v in content.items() if not k.startswith("__")}
