"""Mouse tools that paint, erase and draw a layout's points: one stroke is one step of undo."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from napari.layers import Points
from psygnal import Signal

from napari_cosynth.layouts.drawn.strokes import Brush
from napari_cosynth.widget.layers.layout import placement_from
from napari_cosynth.widget.layout.drags import Drag, Drawing, Erasing, Painting, Structure

LEFT = 1


class Tool(StrEnum):
    """Tool of the mouse in napari's add mode."""

    POINT = "point"
    """A click adds a point, as in napari."""
    BRUSH = "brush"
    ERASER = "eraser"
    GLAND = "gland"
    STREAM = "stream"
    FIELD = "field"


KEYS = {Tool.POINT: "P", Tool.BRUSH: "B", Tool.ERASER: "E"}


class PointBrush:
    """The tools of one layout layer.

    All tools but the first are variants of napari's add mode. So napari's layer controls, its keys and
    the held space bar work as usual: panning pauses a tool, and any other mode ends it.
    """

    changed = Signal()
    """Another tool is in use now, or none."""

    def __init__(
        self,
        layer: Points,
        brush: Callable[[], Brush],
        structures: Mapping[Tool, Callable[[], Structure]],
    ) -> None:
        """``brush`` returns the current width, spacing and least distance, in canvas pixels;
        ``structures`` has a function for each other tool that returns the structure to draw."""
        self.layer = layer
        self._brush = brush
        self._structures = structures
        self._tool = Tool.POINT
        self._numbers = itertools.count()
        self._displaced: Callable[..., Any] | None = None
        layer.events.mode.connect(self._on_mode)
        for tool, key in KEYS.items():
            layer.bind_key(key, self._chooser(tool), overwrite=True)

    def close(self) -> None:
        """Disconnects from the layer; if a tool was in use, the layer goes to pan/zoom mode."""
        if self.in_use not in (None, Tool.POINT):
            self.layer.mode = "pan_zoom"
        self.layer.events.mode.disconnect(self._on_mode)
        for key in KEYS.values():
            self.layer.bind_key(key, None)

    @property
    def in_use(self) -> Tool | None:
        """The tool that the next click uses; None outside napari's add mode."""
        return self._tool if self.layer.mode == "add" else None

    def choose(self, tool: Tool) -> None:
        """Chooses a tool and shows the layer if it is hidden."""
        self._tool = tool
        self.layer.visible = True
        # Through another mode: napari then sets up its add mode anew, and _on_mode is called after it.
        self.layer.mode = "pan_zoom"
        self.layer.mode = "add"

    def show_width(self) -> None:
        """Sets the cursor to a circle as wide as the tool, or to a cross if the tool has no width."""
        tool = self.in_use
        if tool is None or tool is Tool.POINT:
            return
        drawn = self._structures.get(tool)
        width = self._brush().width if drawn is None else drawn().width
        self.layer.cursor = "cross" if width is None else "circle"
        if width is not None:
            self.layer.cursor_size = width * placement_from(self.layer).scale  # type: ignore[assignment]

    def _chooser(self, tool: Tool) -> Callable[[Points], None]:
        # A function, not a partial: napari reads each binding's __name__.
        def choose(layer: Points) -> None:
            self.choose(Tool.POINT if tool is self.in_use else tool)

        return choose

    def _on_mode(self, event: object) -> None:
        callbacks = self.layer.mouse_drag_callbacks
        if self._stroke in callbacks:
            callbacks.remove(self._stroke)
        if self.layer.mode == "add":
            if self._tool is not Tool.POINT:
                # The last callback is the one that napari has just added: a click adds a point.
                callbacks[-1] = self._stroke
                self.layer.mouse_pan = False
                self.show_width()
        elif self.layer.mode != "pan_zoom":
            self._tool = Tool.POINT
        self.changed.emit()

    def _stroke(self, layer: Points, event: Any) -> Iterator[None]:
        """napari's generator of one drag: press, moves, release."""
        if event.button != LEFT:
            return
        stroke: Drag
        if self._tool is Tool.BRUSH:
            stroke = Painting(layer, self._brush(), next(self._numbers))
        elif self._tool is Tool.ERASER:
            stroke = Erasing(layer, self._brush().width / 2)
        else:
            stroke = Drawing(layer, self._structures[self._tool](), next(self._numbers))
        stroke.move(self._position(event))
        yield
        while event.type == "mouse_move":
            stroke.move(self._position(event))
            yield
        # The release counts, too: napari passes on one move every 5 ms, so the last may be missing.
        stroke.move(self._position(event))
        stroke.finish()

    def _position(self, event: Any) -> tuple[float, float]:
        y, x = self.layer.world_to_data(event.position)[-2:]
        return float(y), float(x)
