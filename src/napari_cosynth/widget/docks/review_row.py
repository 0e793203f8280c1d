"""The quality dock's buttons for reviewing nuclei one by one: step, re-tag and repaint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from weakref import ref

import numpy as np
import numpy.typing as npt
from magicgui.widgets import ComboBox, PushButton
from napari.components import ViewerModel
from napari.layers import Layer
from napari.utils.notifications import show_info
from psygnal import Signal
from qtpy.QtWidgets import QWidget

from napari_cosynth.widget.layers import results
from napari_cosynth.widget.qt.errors import told
from napari_cosynth.widget.qt.forms import allow, column_in, side_by_side
from napari_cosynth.widget.result.corrections import Wanted, corrected
from napari_cosynth.widget.result.dropping import Drops
from napari_cosynth.widget.result.nuclei import NucleusTable
from napari_cosynth.widget.result.nuclei_view import NucleusView
from napari_cosynth.widget.result.review import mark_seen, seen_rows
from napari_cosynth.widget.result.sample_list import Key
from napari_cosynth.widget.result.saving import described_sample, record_of
from napari_cosynth.widget.result.shown import ShownResult

KEYS = (("N", True), ("Shift-N", False))
"""(Key over the canvas, forth): N goes to the next unseen nucleus, Shift-N one row up."""


class ReviewRow(QWidget):
    """Row of buttons that work on the table in ``view``."""

    retagged = Signal()
    """The classes of nuclei in a result changed."""
    wanted = Signal(object)
    """A :class:`Wanted`: nuclei are to be painted anew."""

    def __init__(self, viewer: ViewerModel, view: NucleusView, drops: Drops) -> None:
        super().__init__()
        self.viewer, self.view, self.drops = viewer, view, drops
        self.key: Key | None = None
        self.table: NucleusTable | None = None
        self.previous = PushButton(text="◀ Previous")
        self.following = PushButton(text="Next unseen ▶")
        self.retag_to = ComboBox(choices=[], label="New class")
        self.retag_to.tooltip = "The class that the selected nuclei are given"
        self.retag = PushButton(text="Re-tag")
        self.repaint_here = PushButton(text="Repaint")
        self.previous.tooltip = "The nucleus in the row above (Shift+N over the canvas)"
        self.following.tooltip = (
            "The next shown nucleus that nobody looked at yet (N over the canvas); filter by flag to go "
            "from problem to problem"
        )
        self.retag.tooltip = "Give the selected nuclei this class, in labels and points"
        self.repaint_here.tooltip = (
            "Paint the pixels of the selected nuclei anew, from another seed, and of those that were "
            "dropped or re-tagged; labels stay, and so does the rest of the image"
        )
        box = column_in(self)
        box.addWidget(side_by_side(self.previous, self.following))
        box.addWidget(side_by_side(self.retag_to, self.retag, self.repaint_here))
        self.previous.changed.connect(lambda: self.go(False))
        self.following.changed.connect(lambda: self.go(True))
        self.retag.changed.connect(told(self.retag_selected))
        self.repaint_here.changed.connect(told(self.repaint_selected))
        self.show_table(None, None)

    def show_table(self, key: Key | None, table: NucleusTable | None) -> None:
        """Takes a sample's table as the one to review; None: there is none."""
        self.key, self.table = key, table
        names = list(table.classes.names[1:]) if table is not None else []
        if list(self.retag_to.choices) != names:
            self.retag_to.choices = names
        for button in (self.previous, self.following, self.retag):
            allow(button, "" if table is not None and len(table) else "there is no nucleus")
        allow(self.repaint_here, "" if table is not None else "there is no result")
        if key is not None:
            for layer in results.groups(self.viewer).get(key[0], {}).values():
                for keys, forth in KEYS:
                    layer.bind_key(keys, _bound(ref(self), forth), overwrite=True)

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """Mask of the table's rows that were looked at, bool (rows,)."""
        if self.table is None or self.key is None:
            return np.zeros(0, bool)
        if self.key[0] not in results.groups(self.viewer):
            return np.zeros(len(self.table), bool)
        return seen_rows(ShownResult(self.viewer, self.key[0]), self.key[1], self.table)

    def mark_seen(self, row: int) -> None:
        """Notes that a row of the table was looked at."""
        assert self.table is not None and self.key is not None  # the row is one of this table
        mark_seen(ShownResult(self.viewer, self.key[0]), self.key[1], self.table, [row])

    def go(self, forth: bool) -> None:
        """Goes to the next unseen nucleus, from the last row on to the first; or to the row above."""
        if self.table is None:
            return
        wanted = self.table.ids[~self.seen] if forth else self.table.ids
        if not self.view.step(forth, set(wanted.tolist())):
            show_info("every nucleus that is shown was looked at")

    def retag_selected(self) -> None:
        """Gives the selected nuclei another class. Raises ValueError where none is selected."""
        ids = self.view.selected_ids()
        if self.key is None or not ids:
            raise ValueError("select the nuclei in the table first")
        self.drops.retag(self.key, ids, str(self.retag_to.value))
        self.retagged.emit()

    def repaint_selected(self) -> None:
        """Asks to repaint the selected nuclei and the pixels whose labels no longer fit the image.

        Raises ValueError if there are no such pixels.
        """
        if self.key is None:
            raise ValueError("there is no result")
        shown, (name, sample) = ShownResult(self.viewer, self.key[0]), self.key
        group = shown.group(shown.own_layout)
        described_sample(group, sample)  # raises ValueError if the result's layers disagree
        record = record_of(group, sample)
        chosen = np.isin(record.instances, self.view.selected_ids())
        changed = corrected(shown)
        if not (chosen | changed).any():
            raise ValueError(f"{name}: select the nuclei to be painted anew in the table first")
        before = partial(self.drops.remember, self.key)
        self.wanted.emit(
            Wanted(shown, sample, record, chosen | changed, bool(chosen.any()), before)
        )


def _bound(row: ref[ReviewRow], forth: bool) -> Callable[[Layer], None]:
    # A function, not a partial: napari reads each binding's __name__. A weak reference, because the layer
    # may outlive the row.
    def go(layer: Layer) -> None:
        found = row()
        if found is not None:
            found.go(forth)

    return go
