"""The dock's layout group: the Points layer, new layouts, classes, tools, undo and redo."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from magicgui.widgets import ComboBox, Label, PushButton, SpinBox
from napari.components import ViewerModel
from napari.layers import Points
from napari.utils.notifications import show_info, show_warning
from psygnal import Signal
from qtpy.QtWidgets import QWidget

from napari_cosynth.types import ClassTable, Layout
from napari_cosynth.widget.layers.frame import show_frame, show_size
from napari_cosynth.widget.layers.layout import (
    is_layout,
    layout_from,
    layout_layer,
    placement_from,
    set_outline,
    style_new_points,
)
from napari_cosynth.widget.layers.placement import LARGEST_SIDE, Placement, free_placement
from napari_cosynth.widget.layers.region import placement_in_view
from napari_cosynth.widget.layout.brush_controls import BrushControls
from napari_cosynth.widget.layout.history import History
from napari_cosynth.widget.layout.layout_sources import LayoutSources
from napari_cosynth.widget.layout.legend import Legend
from napari_cosynth.widget.layout.points import LayoutEditor, adopt
from napari_cosynth.widget.qt.camera import fill_view
from napari_cosynth.widget.qt.errors import told
from napari_cosynth.widget.qt.forms import allow, column_in, form
from napari_cosynth.widget.qt.questions import ask_class
from napari_cosynth.widget.run.facts import CheckpointFacts

NONE = "none yet"


class LayoutControls(QWidget):
    """Form group with the one :class:`LayoutEditor` that the dock works with."""

    edited = Signal()
    """Another layout is chosen, or its points or their classes changed."""
    switched = Signal()
    """Another layer is the layout now, or no layer is."""
    picked = Signal(str)
    """The class of the next point."""
    summarised = Signal(str)
    """The number of points in words; empty if there is no layout."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = viewer
        self.editor: LayoutEditor | None = None
        self._histories: dict[Points, History] = {}
        self.facts: CheckpointFacts | None = None
        self.summary = ""
        self.layer = ComboBox(choices=[NONE], label="Points layer")
        self.height_px = SpinBox(value=256, min=1, max=LARGEST_SIDE, label="Canvas rows")
        self.width_px = SpinBox(value=256, min=1, max=LARGEST_SIDE, label="Canvas columns")
        self.new = PushButton(text="New layout")
        self.sources = LayoutSources(viewer, self._require_facts, self.add_layout)
        self.undo = PushButton(text="Undo")
        self.redo = PushButton(text="Redo")
        self.legend = Legend()
        self.tools = BrushControls(viewer)
        self.height_px.tooltip = "Rows of pixels of a new canvas"
        self.width_px.tooltip = "Columns of pixels of a new canvas"
        self.layer.tooltip = "The layout: any Points layer; choosing one makes it a layout"
        self.new.tooltip = (
            "An empty layout of this many rows and columns of pixels; over a slide, in the middle of "
            "what is seen of it"
        )
        self.undo.tooltip, self.redo.tooltip = "Ctrl+Z", "Ctrl+Shift+Z"
        for button in (self.undo, self.redo):  # beside a layer's name, which may be long
            words = button.native.fontMetrics().horizontalAdvance(button.text)
            button.native.setFixedWidth(words + 16)
        self._times = Label(value="×")
        box = column_in(self)
        box.addWidget(
            form(
                ("Points", [self.layer, self.undo, self.redo]),
                ("Canvas", [self.height_px, self._times, self.width_px, self.new]),
                ("From", self.sources.buttons),
            )
        )
        box.addWidget(self.legend)
        box.addWidget(self.tools)

        self.layer.changed.connect(self._choose)
        self.new.changed.connect(told(self.new_layout))
        self.legend.picked.connect(self._pick)
        self.undo.changed.connect(self._undo)
        self.redo.changed.connect(self._redo)
        viewer.layers.events.inserted.connect(self._list_layers)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.selection.events.active.connect(self._on_active)
        self._list_layers()
        self._show()

    def close_editor(self) -> None:
        """Disconnects from the viewer and the layer, because the dock is being destroyed."""
        events = self.viewer.layers.events
        events.inserted.disconnect(self._list_layers)
        events.removed.disconnect(self._on_removed)
        self.viewer.layers.selection.events.active.disconnect(self._on_active)
        self.sources.close()
        self._detach()

    @property
    def points(self) -> Points | None:
        return self.editor.layer if self.editor else None

    def use_facts(self, facts: CheckpointFacts) -> None:
        """Takes classes and µm/px for new layouts from these facts; an existing layout keeps its own."""
        self.facts = facts
        self._show()
        self._suggest_spacing()

    def layout_now(self) -> Layout:
        """The current layout. Raises ValueError if there is none or it is not valid."""
        if self.editor is None:
            raise ValueError("no layout: press New layout, or choose a Points layer")
        return layout_from(self.editor.layer)

    def new_layout(self) -> Points:
        """Adds an empty layout of the chosen size at the model's µm/px.

        Over a slide it lies in the middle of the view.
        """
        shape = (int(self.height_px.value), int(self.width_px.value))
        mpp = self._require_facts().mpp
        over = placement_in_view(self.viewer, shape, mpp)
        return self.add_layout(over or free_placement(shape, mpp, self.viewer.layers))

    def add_layout(
        self,
        placement: Placement,
        layout: Layout | None = None,
        name: str = "layout",
        outline: npt.NDArray[np.float64] | None = None,
    ) -> Points:
        """Adds a layout layer at a placement, in add mode, and works with it.

        ``outline``: polygon that the layout covers, in canvas pixels, (N, 2); None: the whole canvas.
        """
        facts = self._require_facts()
        if layout is None:
            layout = Layout([], [], placement.shape, placement.mpp, facts.classes)  # type: ignore[arg-type]
        layer = layout_layer(layout, placement, name)
        set_outline(layer, outline)
        self.viewer.add_layer(layer)
        layer.mode = "add"  # only now: napari's buttons show only changes after they are made
        self.use_layer(layer)
        fill_view(self.viewer, placement.world)
        return layer

    def use_layer(self, layer: Points) -> None:
        """Works with this Points layer; makes it a layout if it is none.

        Raises ValueError if it cannot become a layout.
        """
        if self.editor is not None and layer is self.editor.layer:
            return
        if not is_layout(layer):
            facts = self._require_facts()
            shape = (int(self.height_px.value), int(self.width_px.value))
            if not adopt(layer, facts.classes, facts.mpp, shape, ask_class):
                self._list_layers()
                return
            canvas = placement_from(layer)
            show_info(
                f"{layer.name} is a layout now, on a canvas of {canvas.shape[0]} x "
                f"{canvas.shape[1]} pixels at {canvas.mpp:.4g} µm/px"
            )
        self._detach()
        style_new_points(layer)
        self.editor = LayoutEditor(layer, self._histories.get(layer))
        self._histories[layer] = self.editor.history
        self.editor.edited.connect(self._on_edited)
        self.editor.picked.connect(self.legend.show_current)
        self.editor.picked.connect(self.picked.emit)
        self.editor.picked.connect(self._suggest_spacing)
        self.tools.use_layer(layer)
        show_frame(layer)
        show_size(self.viewer, layer)
        layer.events.name.connect(self._list_layers)
        placement = placement_from(layer)
        self.height_px.value, self.width_px.value = placement.shape
        self._list_layers()
        self._show()
        self._suggest_spacing()
        self.switched.emit()
        self.edited.emit()

    def _suggest_spacing(self) -> None:
        """Sets the brush's usual sizes for the current class."""
        if self.editor is not None and self.facts is not None:
            self.tools.suggest(self.editor.current, self.facts.areas.get(self.editor.current))

    def _require_facts(self) -> CheckpointFacts:
        if self.facts is None:
            raise ValueError("no checkpoint: choose one first")
        return self.facts

    def _detach(self) -> None:
        if self.editor is not None:
            self.editor.layer.events.name.disconnect(self._list_layers)
            self.tools.use_layer(None)
            show_size(self.viewer, None)
            self.editor.close()
            self.editor = None

    def _candidates(self) -> list[Points]:
        return [layer for layer in self.viewer.layers if isinstance(layer, Points)]

    def _list_layers(self, _: object = None) -> None:
        with self.layer.changed.blocked():
            self.layer.choices = [NONE, *(layer.name for layer in self._candidates())]
            self.layer.value = self.editor.layer.name if self.editor else NONE

    def _choose(self, name: str) -> None:
        chosen = next((layer for layer in self._candidates() if layer.name == name), None)
        try:
            if chosen is not None:
                self.use_layer(chosen)
        except ValueError as error:
            show_warning(str(error))
        finally:
            self._list_layers()

    def _on_active(self, event: object) -> None:
        # Selecting a layout in napari's layer list chooses it; other Points layers are left alone.
        active = self.viewer.layers.selection.active
        if is_layout(active):
            self.use_layer(active)

    def _on_removed(self, event: object) -> None:
        if self.editor is not None and self.editor.layer not in self.viewer.layers:
            self._detach()
            self._show()
            self.switched.emit()
        for layer in self._histories.keys() - set(self.viewer.layers):
            del self._histories[layer]
        self._list_layers()

    def _on_edited(self) -> None:
        self._show_counts()
        self.edited.emit()

    def _pick(self, name: str) -> None:
        if self.editor is not None:
            self.editor.pick(name)

    def _undo(self) -> None:
        if self.editor is not None:
            self.editor.undo()

    def _redo(self) -> None:
        if self.editor is not None:
            self.editor.redo()

    def _show(self) -> None:
        classes: ClassTable | None = (
            self.editor.classes if self.editor else self.facts.classes if self.facts else None
        )
        if classes is not None:
            self.legend.show_classes(classes)
        self.legend.setEnabled(self.editor is not None)
        if self.editor is not None:
            self.legend.show_current(self.editor.current)
        self._show_counts()

    def _show_counts(self) -> None:
        editor = self.editor
        can_undo = editor is not None and editor.history.can_undo
        can_redo = editor is not None and editor.history.can_redo
        allow(self.undo, "" if can_undo else "nothing was changed")
        allow(self.redo, "" if can_redo else "nothing was undone")
        if editor is None:
            self._summarise("")
            return
        self.legend.show_counts(editor.counts().tolist())
        count = len(editor.layer.data)
        text = "1 point" if count == 1 else f"{count:,} points"
        if editor.outside:
            text += f", {editor.outside:,} outside the canvas"
        self._summarise(text)

    def _summarise(self, text: str) -> None:
        self.summary = text
        self.summarised.emit(text)
