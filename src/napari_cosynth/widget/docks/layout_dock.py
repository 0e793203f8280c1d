"""The dock ``Plugins > CoSynth layout``: tools that add or change many points at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from magicgui.widgets import Label, PushButton
from napari.components import ViewerModel
from psygnal import SignalInstance
from qtpy.QtWidgets import QWidget

from napari_cosynth.widget.docks.companion import Companion
from napari_cosynth.widget.layers.tags import KEY
from napari_cosynth.widget.layout.composition import Composition
from napari_cosynth.widget.layout.fill import FillControls
from napari_cosynth.widget.layout.selection import SelectionControls
from napari_cosynth.widget.layout.structures import StructureControls
from napari_cosynth.widget.layout.usual import close
from napari_cosynth.widget.qt.column import Column, Section
from napari_cosynth.widget.qt.forms import column_in, side_by_side

TARGETS = "targets"
"""Key in a layout's ``metadata["cosynth"]``: class name -> the share that the class should have."""


class LayoutDock(Companion):
    """Dock with tools for the layout that the CoSynth dock works with. npe2 passes the viewer."""

    title = "Layout"

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.controls = self.panel.layout_controls
        self.composition = Composition()
        self.sum = Label(value="")
        self.structures = StructureControls(self.controls.tools)
        self.selection = SelectionControls(self.controls)
        self.fill = FillControls(napari_viewer, self.controls)
        self.undo, self.redo = PushButton(text="Undo"), PushButton(text="Redo")
        palette = QWidget()
        lines = column_in(palette)
        lines.addWidget(self.composition)
        lines.addWidget(self.sum.native)
        self.sections = {
            "Classes": Section("Classes", palette),
            "Draw": Section("Draw", self.structures),
            "Fill": Section("Generate", self.fill),
            "Points": Section("Selection, or all points", self.selection),
        }
        box = column_in(self, 4, 4)
        box.addWidget(Column(*self.sections.values()), 1)
        self.undo.tooltip, self.redo.tooltip = "Ctrl+Z", "Ctrl+Shift+Z"
        box.addWidget(side_by_side(self.undo, self.redo))
        self._connect()
        self._on_switched()

    def _connect(self) -> None:
        self.composition.picked.connect(self._pick)
        self.composition.targeted.connect(self._target)
        self.undo.changed.connect(lambda: self.controls.undo.native.click())
        self.redo.changed.connect(lambda: self.controls.redo.native.click())
        # Not bound methods: the CoSynth dock may outlive this one, and Qt destroys this one's C++ side
        # before its Python side.
        heard: list[tuple[SignalInstance, Callable[..., None]]] = [
            (self.controls.switched, partial(LayoutDock._on_switched, self)),
            (self.controls.edited, partial(LayoutDock._show_counts, self)),
            (self.controls.picked, partial(LayoutDock._show_current, self)),
        ]
        for signal, action in heard:
            signal.connect(action)
        self.destroyed.connect(partial(_let_go, heard, self.structures, self.selection, self.fill))

    def _on_switched(self) -> None:
        editor = self.controls.editor
        self.composition.setEnabled(editor is not None)
        self.fill.setEnabled(editor is not None)
        facts = self.controls.facts
        classes = editor.classes if editor else facts.classes if facts else None
        if classes is not None:
            known = editor.layer.metadata[KEY].get(TARGETS, {}) if editor else {}
            self.composition.show_classes(classes, known)
            self.structures.show_classes(classes)
        if facts is not None:
            self.selection.suggest(close(facts.areas))
        if editor is not None:
            self.composition.show_current(editor.current)
        self._show_counts()

    def _show_counts(self) -> None:
        editor = self.controls.editor
        self.undo.enabled, self.redo.enabled = (
            self.controls.undo.enabled,
            self.controls.redo.enabled,
        )
        if editor is not None:
            self.composition.show_counts(editor.counts())
        self.sections["Classes"].summarise(self.controls.summary)
        self._show_sum()

    def _show_current(self, name: str) -> None:
        self.composition.show_current(name)

    def _pick(self, name: str) -> None:
        if self.controls.editor is not None:
            self.controls.editor.pick(name)

    def _target(self, targets: dict[str, float]) -> None:
        editor = self.controls.editor
        if editor is not None:
            editor.layer.metadata[KEY][TARGETS] = targets
        self._show_sum()

    def _show_sum(self) -> None:
        total = round(100 * sum(self.composition.targets.values()))
        self.sum.value = f"targets: {total} % in all" + (", above 100 %" if total > 100 else "")
        self.sum.visible = total > 0


def _let_go(
    heard: list[tuple[SignalInstance, Callable[..., None]]],
    structures: StructureControls,
    selection: SelectionControls,
    fill: FillControls,
    _: object,
) -> None:
    for signal, action in heard:
        signal.disconnect(action, missing_ok=True)
    structures.let_go()
    selection.let_go()
    fill.let_go()
