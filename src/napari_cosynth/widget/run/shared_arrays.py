"""Messages to the sampling process that name arrays which it still has, instead of sending them.

A live edit is sampled around the sample before it, whose arrays are 13 MiB at 1024 x 1024. The process
that made them keeps the newest, and the window names them instead of sending them back.
"""

from __future__ import annotations

import io
import pickle
import weakref
from collections import OrderedDict
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cosynth.types import Synthesis

Key: TypeAlias = tuple[int, int, str]
"""Name of an array: number of the call that made it, seed, field."""
KEPT_BYTES = 256 * 2**20
"""Bytes of the newest arrays that the sampling process keeps."""
_SMALLEST = 2**14
"""Bytes from which an array is named instead of sent."""


class NotKept(Exception):
    """A named array is no longer kept: the message must be sent whole."""


def arrays_of(number: int, event: object) -> dict[Key, npt.NDArray[Any]]:
    """The large arrays of a sample that a call made, by key; empty for other events."""
    if not isinstance(event, Synthesis):
        return {}
    found = {
        name: getattr(event.record, name) for name in ("image", "labels", "instances", "distance")
    }
    found["raw labels"] = event.raw_labels
    return {
        (number, event.seed, name): array
        for name, array in found.items()
        if array.nbytes >= _SMALLEST
    }


class Kept:
    """The newest arrays that the sampling process has made, by key."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self.most = most
        self._arrays: OrderedDict[Key, npt.NDArray[Any]] = OrderedDict()

    def add(self, number: int, event: object) -> None:
        """Keeps the arrays of an event, and as many older ones as fit."""
        self._arrays.update(arrays_of(number, event))
        total = sum(array.nbytes for array in self._arrays.values())
        while total > self.most:
            total -= self._arrays.popitem(last=False)[1].nbytes

    def read(self, packed: bytes) -> Any:
        """Unpacks a message of :meth:`Named.packed`. Raises NotKept if a named array is gone."""
        return _Reader(packed, self._arrays).load()


class Named:
    """The arrays that the window received from the sampling process and still holds."""

    def __init__(self) -> None:
        self._keys: dict[int, tuple[weakref.ref[npt.NDArray[Any]], Key]] = {}

    def add(self, number: int, event: object) -> None:
        for key, array in arrays_of(number, event).items():
            self._keys[id(array)] = weakref.ref(array, self._gone(id(array))), key

    def _gone(self, identity: int) -> Any:
        # Once this array is freed, another one may get the same id.
        return lambda _: self._keys.pop(identity, None)

    def packed(self, message: Any) -> bytes:
        """The pickled message, with names in place of these arrays."""
        target = io.BytesIO()
        _Writer(target, self._keys).dump(message)
        return target.getvalue()


class _Writer(pickle.Pickler):
    def __init__(
        self, target: io.BytesIO, keys: dict[int, tuple[weakref.ref[npt.NDArray[Any]], Key]]
    ) -> None:
        super().__init__(target, protocol=5)
        self._keys = keys

    def persistent_id(self, value: Any) -> Key | None:
        if isinstance(value, np.ndarray) and (known := self._keys.get(id(value))):
            return known[1]
        return None


class _Reader(pickle.Unpickler):
    def __init__(self, packed: bytes, arrays: OrderedDict[Key, npt.NDArray[Any]]) -> None:
        super().__init__(io.BytesIO(packed))
        self._arrays = arrays

    def persistent_load(self, key: Key) -> npt.NDArray[Any]:
        try:
            return self._arrays[key]
        except KeyError:
            raise NotKept(str(key)) from None
