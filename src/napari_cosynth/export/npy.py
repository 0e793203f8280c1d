"""``.npy`` files that grow a row at a time."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

_HEADER = 192
"""Bytes of the header: enough for any shape, and a multiple of 64 as the format requires."""


class GrowingNpy:
    """A ``.npy`` file of rows of one shape; its header is written last, when their number is known.

    Memory holds one row. Numpy's own writer needs the whole array, or its length in advance.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._shape: tuple[int, ...] = ()
        self._count = 0
        self._handle = path.open("wb")

    def __enter__(self) -> GrowingNpy:
        self._handle.write(bytes(_HEADER))
        return self

    def append(self, row: npt.NDArray[Any]) -> None:
        self._shape = row.shape
        self._count += 1
        self._handle.write(np.ascontiguousarray(row, self._dtype).tobytes())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._handle as handle:
            handle.seek(0)
            handle.write(self._header())

    def _header(self) -> bytes:
        text = repr(
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._count, *self._shape),
            }
        )
        body = text.ljust(_HEADER - 11) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body.encode("latin1")
