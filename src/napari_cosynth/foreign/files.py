"""JSON and MATLAB files, read without running code in them; every failure names the file."""

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
"""Most bytes of a JSON file; a slide of 500,000 outlined nuclei takes half of it."""
_GZIP = b"\x1f\x8b"
"""First bytes of a gzipped file."""
_BLOCK = 2**20
"""Bytes read at once."""
LARGEST_VARIABLE = 2**31
"""Most values of one variable of a MATLAB file, as its header states them."""


def read_json(path: Path, largest: int = LARGEST_JSON) -> Any:
    """The content of a JSON file, gzipped or not, of at most ``largest`` bytes once unpacked.

    Raises ValueError naming the file, and the line if the JSON is damaged.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if (size := path.stat().st_size) > largest:
        raise ValueError(f"{path}: expected at most {largest} bytes, got {size}")
    blocks, read = [], 0
    with _unpacked(path) as file:
        # A single read of ``largest`` bytes would reserve them all.
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
    """Whether all ``words`` occur in the text of a JSON file, which is not parsed.

    ``within`` limits the search to that many first bytes. Raises ValueError naming the file if it cannot
    be read.
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
    """Switches the garbage collector off while the block runs.

    JSON has no reference cycles. The collector would walk all parsed objects again and again, which
    takes a third of the time if they are many and small.
    """
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if active:
            gc.enable()


@contextmanager
def _unpacked(path: Path) -> Iterator[BufferedIOBase]:
    """The unpacked bytes of a JSON file. Raises ValueError naming the file if they cannot be read."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        with path.open("rb") as file:
            yield gzip.GzipFile(fileobj=file) if packed else file
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ValueError(f"{path}: cannot be read as JSON ({reason})") from None


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file (version 7.2 or older) by name.

    Raises ValueError naming the file.
    """
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
