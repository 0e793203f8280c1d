"""Drags of the mouse that change a layout's points: painting, erasing, drawing a structure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from napari.layers import Points
from napari.layers.base import ActionType

from napari_cosynth.layouts.drawn.strokes import Brush, Stroke, covered
from napari_cosynth.widget.layers.layout import (
    class_ids_of,
    class_table_of,
    current_class,
    placement_from,
    set_current_class,
)
from napari_cosynth.widget.layers.tags import unwrapped

PATIENCE = 3
"""Pause after a change of the layer, as a multiple of the change's own duration (0.2 s in a layout of
100,000 points). So points appear under the moving mouse, but are added and removed in groups."""

Places: TypeAlias = npt.NDArray[np.float64]
"""Positions (y, x) in canvas pixels, float64 (N, 2)."""


@dataclass(frozen=True)
class Structure:
    """A gland, a stream or a field that a drag along a path draws."""

    parts: Callable[[Places, Places, int], Sequence[tuple[str, Places]]]
    """(path, existing points, seed) -> (class name, new points) pairs."""
    width: float | None = None
    """Diameter of the circle around the mouse, in canvas pixels; None: a cross."""


class Drag:
    """Base of drags: changes appear as fast as the layer can show them, and end as one edit."""

    action: ActionType

    def __init__(self, layer: Points) -> None:
        self.layer = layer
        self._count = self._first = len(layer.data)
        self._next = 0.0

    def move(self, position: tuple[float, float]) -> None:
        # If the points changed meanwhile, by undo for example, the rest of the stroke does nothing.
        if len(self.layer.data) == self._count:
            self._advance(position)
            if time.perf_counter() >= self._next:
                self._apply()

    def finish(self) -> None:
        if len(self.layer.data) != self._count:
            return
        self._apply()
        if self._count != self._first:
            self.layer.selected_data = set()
            self.layer.events.data(
                value=self.layer.data,
                action=self.action,
                data_indices=(-1,),
                vertex_indices=((),),
            )

    def _apply(self) -> None:
        begun = time.perf_counter()
        # Listeners, above all the history, get one event for the whole stroke, at its end.
        with self.layer.events.data.blocker():
            changed = self._change()
        if changed:
            self._count = len(self.layer.data)
            now = time.perf_counter()
            self._next = now + PATIENCE * (now - begun)

    def _advance(self, position: tuple[float, float]) -> None:
        raise NotImplementedError

    def _change(self) -> bool:
        """Applies the waiting changes to the layer; False if there are none."""
        raise NotImplementedError


class Painting(Drag):
    action = ActionType.ADDED

    def __init__(self, layer: Points, brush: Brush, seed: int) -> None:
        super().__init__(layer)
        classes = class_table_of(layer)
        own = class_ids_of(layer, classes) == classes.index(current_class(layer))
        shape = placement_from(layer).shape
        self._stroke = Stroke(brush, shape, layer.data, own, seed)
        self._waiting: list[npt.NDArray[np.float64]] = []

    def _advance(self, position: tuple[float, float]) -> None:
        painted = self._stroke.extend(position)
        if len(painted):
            self._waiting.append(painted)

    def _change(self) -> bool:
        if not self._waiting:
            return False
        self.layer.add(np.concatenate(self._waiting))
        self._waiting.clear()
        return True


class Erasing(Drag):
    action = ActionType.REMOVED

    def __init__(self, layer: Points, radius: float) -> None:
        super().__init__(layer)
        self._radius = radius
        self._at: tuple[float, float] | None = None
        self._doomed = np.zeros(len(layer.data), bool)

    def _advance(self, position: tuple[float, float]) -> None:
        start = self._at or position
        self._at = position
        self._doomed |= covered(self.layer.data, start, position, self._radius)

    def _change(self) -> bool:
        rows = np.flatnonzero(self._doomed)
        if not len(rows):
            return False
        _remove(self.layer, rows.tolist())
        self._doomed = np.zeros(len(self.layer.data), bool)
        return True


class Drawing(Drag):
    """A structure that follows the mouse until it is released."""

    action = ActionType.ADDED

    def __init__(self, layer: Points, structure: Structure, seed: int) -> None:
        super().__init__(layer)
        self._structure, self._seed = structure, seed
        self._there = np.array(layer.data, np.float64)
        self._path: list[tuple[float, float]] = []
        self._moved = False

    def _advance(self, position: tuple[float, float]) -> None:
        if not self._path or position != self._path[-1]:
            self._path.append(position)
            self._moved = True

    def _change(self) -> bool:
        if not self._moved:
            return False
        self._moved = False
        parts = self._structure.parts(np.array(self._path), self._there, self._seed)
        shown = len(self.layer.data)
        if shown > self._first:
            _remove(self.layer, list(range(self._first, shown)))
        chosen = current_class(self.layer)
        for name, points in parts:
            if len(points):
                set_current_class(self.layer, name)
                self.layer.add(points)
        set_current_class(self.layer, chosen)
        return True


def _remove(layer: Points, rows: list[int]) -> None:
    """Removes points after clearing napari's hovered point.

    napari shifts the number of the hovered point and that of the highlighted one together. It fails if
    its thread for the status bar has set the first but not yet the second.
    """
    unwrapped(layer)._value = None
    layer.remove(rows)
