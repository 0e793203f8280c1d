"""Undo and redo for a Points layer; napari has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Points

from napari_cosynth.widget.layers.layout import set_features

MOST_BYTES = 64 * 2**20
"""Memory for the states; beyond it the oldest are dropped. About 25 states of 100,000 points."""


@dataclass(frozen=True)
class Snapshot:
    """One state of a Points layer."""

    data: npt.NDArray[Any]
    """float (N, 2)."""
    features: pd.DataFrame

    @classmethod
    def of(cls, layer: Points) -> Snapshot:
        return cls(layer.data.copy(), layer.features.copy())

    def same_as(self, other: Snapshot) -> bool:
        """Whether points and classes are the same; notes do not count."""
        return np.array_equal(self.data, other.data) and bool(
            self.features["class"].equals(other.features["class"])
        )

    @property
    def size(self) -> int:
        return self.data.nbytes + int(self.features.memory_usage(deep=False).sum())


class History:
    """The states of one layer; the present state is the last one recorded or restored."""

    def __init__(self, layer: Points) -> None:
        self.layer = layer
        self._past = [Snapshot.of(layer)]
        self._future: list[Snapshot] = []
        self._bytes = self._past[0].size
        self.restoring = False

    @property
    def present(self) -> Snapshot:
        return self._past[-1]

    @property
    def can_undo(self) -> bool:
        return len(self._past) > 1

    @property
    def can_redo(self) -> bool:
        return bool(self._future)

    def record(self) -> bool:
        """Records the layer's state if it is new, and then drops the undone states; True if it did."""
        if self.restoring:
            return False
        fresh = Snapshot.of(self.layer)
        if fresh.same_as(self.present):
            return False
        self._past.append(fresh)
        self._future.clear()
        self._bytes += fresh.size
        while self._bytes > MOST_BYTES and len(self._past) > 2:
            self._bytes -= self._past.pop(0).size
        return True

    def undo(self) -> bool:
        """Goes back one state; False if there is none."""
        if not self.can_undo:
            return False
        self._future.append(self._past.pop())
        self._bytes -= self._future[-1].size
        self.restore()
        return True

    def redo(self) -> bool:
        """Takes the last undo back; False if there is none."""
        if not self.can_redo:
            return False
        self._past.append(self._future.pop())
        self._bytes += self.present.size
        self.restore()
        return True

    def restore(self) -> None:
        """Sets the layer to the present state and drops any later change."""
        with self.paused():
            self.layer.selected_data = set()
            self.layer.data = self.present.data.copy()
            set_features(self.layer, self.present.features.copy())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Context in which changes of the layer are not recorded."""
        self.restoring = True
        try:
            yield
        finally:
            self.restoring = False
