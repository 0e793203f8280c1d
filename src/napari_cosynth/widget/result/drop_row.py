"""The quality dock's buttons to mark and drop nuclei, with undo and redo."""

from __future__ import annotations

from magicgui.widgets import PushButton
from napari.utils.notifications import show_info
from psygnal import Signal
from qtpy.QtWidgets import QWidget

from napari_cosynth.widget.qt.errors import told
from napari_cosynth.widget.qt.forms import allow, column_in, side_by_side
from napari_cosynth.widget.result.dropping import Drops
from napari_cosynth.widget.result.nuclei_model import NucleusModel
from napari_cosynth.widget.result.nuclei_view import NucleusView
from napari_cosynth.widget.result.sample_list import Key


class DropRow(QWidget):
    """Row of buttons that work on the table in ``view``."""

    dropped = Signal(object)
    """The ``Key`` of a sample whose nuclei changed."""

    def __init__(self, model: NucleusModel, view: NucleusView, drops: Drops) -> None:
        super().__init__()
        self.model, self.view, self.drops = model, view, drops
        self.key: Key | None = None
        self.mark_shown = PushButton(text="Mark shown")
        self.unmark = PushButton(text="Unmark all")
        self.drop = PushButton(text="Drop marked")
        self.undo = PushButton(text="Undo")
        self.redo = PushButton(text="Redo")
        self.mark_shown.tooltip = "Mark every nucleus in the table to be dropped"
        self.drop.tooltip = (
            "Take the marked nuclei out of labels, instances and distance, and their points out of "
            "the result's layout; the image stays"
        )
        self.undo.tooltip = "The sample before the last drop, re-tag or repaint"
        box = column_in(self)
        box.addWidget(side_by_side(self.mark_shown, self.unmark))
        box.addWidget(side_by_side(self.drop, self.undo, self.redo))
        self.mark_shown.changed.connect(lambda: self.model.mark(self.view.shown.ids()))
        self.unmark.changed.connect(lambda: self.model.mark(set(self.model.marked), False))
        for button, action in (
            (self.drop, self.drop_marked),
            (self.undo, self.undo_drop),
            (self.redo, self.redo_drop),
        ):
            button.changed.connect(told(action))

    def show_what_goes(self, key: Key | None) -> None:
        """Takes the sample in the table, and enables the buttons that can be used now."""
        self.key = key
        allow(self.mark_shown, "" if self.view.shown.rowCount() else "no nucleus is shown")
        for button in (self.unmark, self.drop):
            allow(button, "" if self.model.marked else "no nucleus is marked")
        allow(
            self.undo, "" if self.drops.can_undo else "nothing was dropped, re-tagged or repainted"
        )
        allow(self.redo, "" if self.drops.can_redo else "nothing was undone")

    def drop_marked(self) -> None:
        """Removes the marked nuclei and their points from the result."""
        ids = set(self.model.marked)
        if self.key is None or not ids:
            return
        key = self.key
        self.drops.drop(key, ids)
        self.dropped.emit(key)
        show_info(f"{len(ids)} nuclei dropped from {key[0]}")

    def undo_drop(self) -> None:
        """Undoes the last drop, re-tag or repaint."""
        if (key := self.drops.undo()) is not None:
            self.dropped.emit(key)

    def redo_drop(self) -> None:
        """Takes the last undo back."""
        if (key := self.drops.redo()) is not None:
            self.dropped.emit(key)
