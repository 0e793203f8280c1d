"""The layout dock's drawing tools: gland, stream and field, their classes and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from magicgui.widgets import ComboBox, FloatSpinBox, Label, PushButton
from napari.layers import Points
from qtpy.QtWidgets import QWidget

from napari_cosynth.layouts.drawn import structures
from napari_cosynth.layouts.drawn.structures import Spacing
from napari_cosynth.types import ClassTable
from napari_cosynth.widget.layers.layout import current_class, placement_from
from napari_cosynth.widget.layout.brush import Tool
from napari_cosynth.widget.layout.brush_controls import BrushControls
from napari_cosynth.widget.layout.drags import Places, Structure
from napari_cosynth.widget.qt.forms import column_in, form, side_by_side

TOOLS = (Tool.GLAND, Tool.STREAM, Tool.FIELD)
TIPS = {
    Tool.GLAND: "Press at the middle of the lumen and drag to the rim: a ring of nuclei around it",
    Tool.STREAM: "Drag along the fibres: nuclei aligned with the stroke",
    Tool.FIELD: "Drag from the middle of a circle, or around a region: filled with nuclei",
}
CHOSEN, NONE = "current", "none"
CIRCLE, FREEHAND = "circle", "freehand"
USUAL = {
    Tool.GLAND: ("epithel",),
    Tool.STREAM: ("spindle", "fibroblast", "muscle", "connective", "stroma"),
    Tool.FIELD: (),
}
"""Parts of class names usual for a structure; the class of the first part found is chosen."""
CLICK = 3.0
"""Length in pixels; a shorter drag is a click, which draws nothing."""


class StructureControls(QWidget):
    """Form with the tools gland, stream and field; one stroke is one step of undo.

    The tools share the mouse with the CoSynth dock's brush.
    """

    def __init__(self, tools: BrushControls) -> None:
        super().__init__()
        self._tools = tools
        self.buttons = {tool: PushButton(text=tool.value.capitalize()) for tool in TOOLS}
        self.classes = {
            tool: ComboBox(choices=[CHOSEN], label=f"Class of the {tool.value}") for tool in TOOLS
        }
        for tool, choice in self.classes.items():
            choice.tooltip = f"The class of the nuclei of a {tool.value}"
        self.stroma = ComboBox(choices=[NONE], label="Stroma")
        self.band = FloatSpinBox(value=15.0, min=1.0, max=500.0, step=1.0, label="Band of stroma")
        self.width_um = FloatSpinBox(value=30.0, min=1.0, max=500.0, step=2.0, label="Stream width")
        self.shape = ComboBox(choices=[CIRCLE, FREEHAND], label="Outline of the field")
        self.shape.tooltip = "A circle about where the mouse is pressed, or an outline drawn by it"
        self.spacing = FloatSpinBox(value=5.0, min=1.0, max=100.0, step=0.5, label="Spacing")
        self.least = FloatSpinBox(value=4.0, min=0.0, max=100.0, step=0.5, label="Least distance")
        self.stroma.tooltip = "The class of a band of nuclei outside the ring"
        self.band.tooltip = "Width of the band of stroma, in µm"
        self.width_um.tooltip = "Width of the stream, in µm"
        self.spacing.tooltip = "Mean spacing of the nuclei drawn, in µm"
        self.least.tooltip = "Least distance to any other nucleus, in µm"
        for size in (self.band, self.width_um, self.spacing, self.least):
            size.native.setDecimals(1)
        for size in (self.band, self.width_um):  # beside a class' name
            size.native.setMaximumWidth(56)
        words = ("width", "width", "shape", "gap", "µm", "µm", "µm")
        self._words = [Label(value=text) for text in words]
        wide, width, shape, least, *units = self._words
        box = column_in(self)
        box.addWidget(side_by_side(*self.buttons.values()))
        box.addWidget(
            form(
                ("Gland", [self.classes[Tool.GLAND]]),
                ("Stroma", [self.stroma, wide, self.band, units[0]]),
                ("Stream", [self.classes[Tool.STREAM], width, self.width_um, units[1]]),
                ("Field", [self.classes[Tool.FIELD], shape, self.shape]),
                ("Spacing", [self.spacing, least, self.least, units[2]]),
            )
        )
        for tool, button in self.buttons.items():
            button.native.setCheckable(True)
            button.tooltip = TIPS[tool]
            button.changed.connect(partial(tools.press, tool))
            tools.structures[tool] = partial(self.structure, tool)
        self.width_um.changed.connect(self._show_width)
        self._hear = partial(StructureControls._show, self)
        tools.switched.connect(self._hear)
        self._show(None)

    def let_go(self) -> None:
        """Removes the tools, because the dock is being destroyed."""
        self._tools.switched.disconnect(self._hear)
        if self._tools.tool is not None and self._tools.tool.in_use in TOOLS:
            self._tools.tool.choose(Tool.POINT)
        for tool in TOOLS:
            self._tools.structures.pop(tool, None)

    def show_classes(self, classes: ClassTable) -> None:
        """Offers a layout's classes; a chosen class stays chosen if the layout has it."""
        names = list(classes.names[1:])
        for tool, box in self.classes.items():
            fresh = len(box.choices) == 1
            before = box.value
            box.choices = [CHOSEN, *names]
            if not fresh and before in box.choices:
                box.value = before
            else:
                usual = [n for part in USUAL[tool] for n in names if part in n.lower()]
                box.value = usual[0] if usual else CHOSEN
        before = self.stroma.value
        self.stroma.choices = [NONE, *names]
        self.stroma.value = before if before in names else NONE

    def structure(self, tool: Tool) -> Structure:
        """The structure that a drag of this tool draws with the form's current settings."""
        assert self._tools.tool is not None  # only the tool calls this
        layer = self._tools.tool.layer
        mpp = placement_from(layer).mpp
        width = float(self.width_um.value) / mpp if tool is Tool.STREAM else None
        return Structure(partial(self._parts, tool, layer), width)

    def _parts(
        self, tool: Tool, layer: Points, path: Places, there: Places, seed: int
    ) -> Sequence[tuple[str, Places]]:
        name = str(self.classes[tool].value)
        if name == CHOSEN:
            name = current_class(layer)
        placement = placement_from(layer)
        shape, mpp = placement.shape, placement.mpp
        spacing = Spacing(float(self.spacing.value) / mpp, float(self.least.value) / mpp)
        first, last = tuple(path[0]), tuple(path[-1])
        if np.ptp(path, axis=0).max() < CLICK:
            return []
        if tool is Tool.STREAM:
            width = float(self.width_um.value) / mpp
            return [(name, structures.stream(path, width, spacing, shape, there, seed))]
        if tool is Tool.FIELD:
            freehand = self.shape.value == FREEHAND
            region = structures.polygon(path) if freehand else structures.disc(first, last)
            return [(name, structures.filled(*region, spacing, shape, there, seed))]
        outline = structures.drawn_outline(first, last, seed)
        ring = structures.gland(outline, spacing, shape, there, seed)
        if self.stroma.value == NONE:
            return [(name, ring)]
        gap = structures.RING_GAP * spacing.mean
        around = structures.stroma(
            outline,
            float(self.band.value) / mpp,
            gap,
            spacing,
            shape,
            np.concatenate([there, ring]),
            seed,
        )
        return [(name, ring), (str(self.stroma.value), around)]

    def _show(self, in_use: object) -> None:
        for tool, button in self.buttons.items():
            button.enabled = self._tools.tool is not None
            button.native.blockSignals(True)
            button.native.setChecked(tool is in_use)
            button.native.blockSignals(False)

    def _show_width(self) -> None:
        if self._tools.tool is not None:
            self._tools.tool.show_width()
