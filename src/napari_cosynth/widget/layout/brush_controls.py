"""The dock's tools for points: single points, a brush, an eraser."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from magicgui.widgets import FloatSpinBox, Label, PushButton
from napari.components import ViewerModel
from napari.layers import Points
from psygnal import Signal
from qtpy.QtWidgets import QWidget

from napari_cosynth.layouts.drawn.strokes import Brush
from napari_cosynth.widget.layers.layout import class_ids_of, class_table_of, placement_from
from napari_cosynth.widget.layout.brush import KEYS, PointBrush, Tool
from napari_cosynth.widget.layout.drags import Structure
from napari_cosynth.widget.layout.usual import usual_sizes
from napari_cosynth.widget.qt.forms import allow, column_in, side_by_side

TIPS = {
    Tool.POINT: "A click adds a point of the current class",
    Tool.BRUSH: "Paint nuclei of the current class by dragging; a stroke is one step of Undo",
    Tool.ERASER: "Erase points of every class by dragging",
}


class BrushControls(QWidget):
    """Buttons for the tools, and the brush's sizes in µm, which hold at any µm/px."""

    switched = Signal(object)
    """The :class:`Tool` that the next click uses, or None."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = viewer
        self.tool: PointBrush | None = None
        self.structures: dict[Tool, Callable[[], Structure]] = {}
        """Structures that other tools draw; the dock with their buttons fills it."""
        self.buttons = {tool: PushButton(text=tool.value.capitalize()) for tool in KEYS}
        self.select = PushButton(text="Select")
        self.width_um = FloatSpinBox(value=20.0, min=1.0, max=500.0, step=2.0, label="Brush")
        self.spacing = FloatSpinBox(value=5.0, min=1.0, max=100.0, step=0.5, label="Spacing")
        self.least = FloatSpinBox(value=4.0, min=0.0, max=100.0, step=0.5, label="Least distance")
        for size in (self.width_um, self.spacing, self.least):
            size.native.setDecimals(1)
        self.width_um.tooltip = "Diameter of brush and eraser, in µm"
        self.spacing.tooltip = "Mean spacing of painted nuclei, in µm: one per spacing x spacing"
        self.least.tooltip = (
            "Least distance to any other nucleus, in µm; above 0.8 times the spacing the brush "
            "packs as densely as it can"
        )
        self._suggested = self.spacing.value, self.least.value
        self._words = [Label(value=text) for text in ("width", "spacing", "gap", "µm")]
        box = column_in(self)
        box.addWidget(side_by_side(*self.buttons.values(), self.select))
        width, spacing, least, unit = self._words
        box.addWidget(
            side_by_side(width, self.width_um, spacing, self.spacing, least, self.least, unit)
        )
        for tool, button in self.buttons.items():
            button.native.setCheckable(True)
            button.tooltip = f"{TIPS[tool]} ({KEYS[tool]})"
            button.changed.connect(partial(self.press, tool))
        self.select.native.setCheckable(True)
        self.select.tooltip = (
            "Click points, or drag a box around them, to move, re-tag or delete them (napari's S)"
        )
        self.select.changed.connect(self.press_select)
        self.width_um.changed.connect(self._show_width)
        self._show()

    def use_layer(self, layer: Points | None) -> None:
        """Works on this layout from now on; None: on no layout."""
        if self.tool is not None:
            self.tool.changed.disconnect(self._show)
            self.tool.close()
            self.tool = None
        if layer is not None:
            self.tool = PointBrush(layer, self.brush, self.structures)
            self.tool.changed.connect(self._show)
        self._show()

    def suggest(self, name: str, area: float | None) -> None:
        """Sets the usual sizes for the class ``name``, unless the user chose others.

        ``area``: usual area of the class' nuclei in µm²; None if it is not known.
        """
        if self.tool is None or (self.spacing.value, self.least.value) != self._suggested:
            return
        layer, classes = self.tool.layer, class_table_of(self.tool.layer)
        own = np.asarray(layer.data)[class_ids_of(layer, classes) == classes.index(name)]
        sizes = usual_sizes(own * placement_from(layer).mpp, area)
        self.spacing.value, self.least.value = self._suggested = sizes

    def brush(self) -> Brush:
        """The form's brush in the layout's pixels."""
        assert self.tool is not None  # only the tool calls this
        mpp = placement_from(self.tool.layer).mpp
        sizes = (self.width_um.value, self.spacing.value, self.least.value)
        return Brush(*(float(size) / mpp for size in sizes))

    def press(self, tool: Tool) -> None:
        """Chooses a tool; if it is in use already, single points again."""
        if self.tool is not None:
            self.viewer.layers.selection.active = self.tool.layer
            self.tool.choose(Tool.POINT if tool is self.tool.in_use else tool)

    def press_select(self) -> None:
        """Chooses napari's select mode; if it is in use already, single points again."""
        if self.tool is None:
            return
        self.viewer.layers.selection.active = self.tool.layer
        if self.tool.layer.mode == "select":
            self.tool.choose(Tool.POINT)
        else:
            self.tool.layer.visible = True
            self.tool.layer.mode = "select"

    def _show(self) -> None:
        in_use = self.tool.in_use if self.tool is not None else None
        selects = self.tool is not None and self.tool.layer.mode == "select"
        checks = [(button, tool is in_use) for tool, button in self.buttons.items()]
        for button, checked in [*checks, (self.select, selects)]:
            allow(button, "" if self.tool is not None else "there is no layout yet")
            # Without a signal: the signal stands for a press by the user.
            button.native.blockSignals(True)
            button.native.setChecked(checked)
            button.native.blockSignals(False)
        self.switched.emit(in_use)

    def _show_width(self) -> None:
        if self.tool is not None:
            self.tool.show_width()
