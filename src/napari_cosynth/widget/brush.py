"""Painting and erasing a layout's points by dragging the mouse: one stroke, one step of undo."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Points
from napari.layers.base import ActionType
from psygnal import Signal

from napari_cosynth.layouts.strokes import Brush, Stroke, covered
from napari_cosynth.widget.layers import (
    class_ids_of,
    class_table_of,
    current_class,
    placement_from,
)

PATIENCE = 3
"""Points appear under the moving brush, but are added and removed together: a change of the layer
is followed by so many times its own duration without one (0.2 s in a layout of 100,000 points)."""
LEFT = 1


class Tool(StrEnum):
    """What the mouse does to a layout in napari's add mode."""

    POINT = "point"
    """A click adds a point: napari's own."""
    BRUSH = "brush"
    ERASER = "eraser"


KEYS = {Tool.POINT: "P", Tool.BRUSH: "B", Tool.ERASER: "E"}


class PointBrush:
    """The tools of one layout layer.

    Brush and eraser are variants of napari's add mode, so its layer controls, its keys and the held
    space bar work as ever: panning pauses a tool, and any other mode ends it.
    """

    changed = Signal()
    """Another tool is in use, or none."""

    def __init__(self, layer: Points, brush: Callable[[], Brush]) -> None:
        """``brush`` gives the present width, spacing and least distance, in canvas pixels."""
        self.layer = layer
        self._brush = brush
        self._tool = Tool.POINT
        self._numbers = itertools.count()
        self._displaced: Callable[..., Any] | None = None
        layer.events.mode.connect(self._on_mode)
        for tool, key in KEYS.items():
            layer.bind_key(key, self._chooser(tool), overwrite=True)

    def close(self) -> None:
        """Lets go of the layer; where brush or eraser was in use, its mouse moves the camera."""
        if self.in_use in (Tool.BRUSH, Tool.ERASER):
            self.layer.mode = "pan_zoom"
        self.layer.events.mode.disconnect(self._on_mode)
        for key in KEYS.values():
            self.layer.bind_key(key, None)

    @property
    def in_use(self) -> Tool | None:
        """The tool that the next click uses; None outside napari's add mode."""
        return self._tool if self.layer.mode == "add" else None

    def choose(self, tool: Tool) -> None:
        """Takes up a tool; a hidden layer is shown."""
        self._tool = tool
        self.layer.visible = True
        # Through another mode, so that napari sets up its add mode anew and _on_mode follows it.
        self.layer.mode = "pan_zoom"
        self.layer.mode = "add"

    def show_width(self) -> None:
        """Draws the circle around the mouse as wide as the brush is now."""
        if self.in_use in (Tool.BRUSH, Tool.ERASER):
            self.layer.cursor_size = self._brush().width * placement_from(self.layer).scale

    def _chooser(self, tool: Tool) -> Callable[[Points], None]:
        # A function, not a partial: napari asks every binding for its __name__.
        def choose(layer: Points) -> None:
            self.choose(Tool.POINT if tool is self.in_use else tool)

        return choose

    def _on_mode(self, event: object) -> None:
        callbacks = self.layer.mouse_drag_callbacks
        if self._stroke in callbacks:
            callbacks.remove(self._stroke)
        if self.layer.mode == "add":
            if self._tool is not Tool.POINT:
                # The last one is what napari just put there: a click adds a point.
                callbacks[-1] = self._stroke
                self.layer.mouse_pan = False
                self.layer.cursor = "circle"
                self.show_width()
        elif self.layer.mode != "pan_zoom":
            self._tool = Tool.POINT
        self.changed.emit()

    def _stroke(self, layer: Points, event: Any) -> Iterator[None]:
        """napari's generator of one drag: press, moves, release."""
        if event.button != LEFT:
            return
        stroke: _Painting | _Erasing
        if self._tool is Tool.BRUSH:
            stroke = _Painting(layer, self._brush(), next(self._numbers))
        else:
            stroke = _Erasing(layer, self._brush().width / 2)
        stroke.move(self._position(event))
        yield
        while event.type == "mouse_move":
            stroke.move(self._position(event))
            yield
        # The release, too: napari passes on a move every 5 ms only, and the last may be missing.
        stroke.move(self._position(event))
        stroke.finish()

    def _position(self, event: Any) -> tuple[float, float]:
        y, x = self.layer.world_to_data(event.position)[-2:]
        return float(y), float(x)


class _Drag:
    """Changes of a layer that appear as it can take them, and become one edit at the end."""

    action: ActionType

    def __init__(self, layer: Points) -> None:
        self.layer = layer
        self._count = self._first = len(layer.data)
        self._next = 0.0

    def move(self, position: tuple[float, float]) -> None:
        # Undone or cleared by somebody else meanwhile: what is left of the stroke does nothing.
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
        # Who listens to edits, the history first of all, hears of the whole stroke at its end.
        with self.layer.events.data.blocker():
            changed = self._change()
        if changed:
            self._count = len(self.layer.data)
            now = time.perf_counter()
            self._next = now + PATIENCE * (now - begun)

    def _advance(self, position: tuple[float, float]) -> None:
        raise NotImplementedError

    def _change(self) -> bool:
        """Does what is due to the layer; False where nothing is."""
        raise NotImplementedError


class _Painting(_Drag):
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


class _Erasing(_Drag):
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
        self.layer.remove(rows.tolist())
        self._doomed = np.zeros(len(self.layer.data), bool)
        return True
