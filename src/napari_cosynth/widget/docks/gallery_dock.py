"""The dock ``Plugins > CoSynth gallery``: thumbnails of the session's samples, to keep or discard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from magicgui.widgets import Label, LineEdit, PushButton, SpinBox
from napari.components import ViewerModel
from psygnal import SignalInstance
from qtpy.QtCore import QItemSelection, QModelIndex, QRect, QSize, Qt
from qtpy.QtGui import QColor, QKeyEvent, QPainter
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from napari_cosynth.types import Progress
from napari_cosynth.widget.docks.companion import Companion
from napari_cosynth.widget.gallery.comparison import MOST, Compared, Comparison
from napari_cosynth.widget.gallery.gallery import Gallery
from napari_cosynth.widget.gallery.item import THUMBNAIL
from napari_cosynth.widget.look.stain import StainControls
from napari_cosynth.widget.qt.column import Section
from napari_cosynth.widget.qt.errors import told
from napari_cosynth.widget.qt.forms import allow, column_in, form, side_by_side, sure
from napari_cosynth.widget.qt.questions import ask_stack, window
from napari_cosynth.widget.run.sampling_controls import LARGEST_SEED

KEPT = QColor(60, 170, 80)


class GalleryDock(Companion):
    """Dock that shows the samples of the CoSynth dock's gallery. npe2 passes the viewer."""

    title = "Gallery"

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.gallery = self.panel.gallery
        self._continued = ""
        self.count = SpinBox(value=6, min=1, max=100, label="Variations")
        self.vary = PushButton(text="Synthesise variations")
        self.view = Thumbnails(self.gallery)
        self.note = LineEdit(value="", label="Note")
        self.keep = PushButton(text="Keep")
        self.discard = PushButton(text="Discard")
        self.undo = PushButton(text="Undo discard")
        self.go_on = PushButton(text="Continue")
        self.compare = PushButton(text="Compare")
        self.save = PushButton(text="Save kept as stack…")
        self.comparison: Comparison | None = None
        self.status = Label(value="")
        self.stain = StainControls(napari_viewer, self.panel.results)
        self.count.tooltip = "How many, with the seeds after the last one of this layout"
        self.vary.tooltip = "More samples of the layout as it is; the viewer shows the newest"
        self.note.tooltip = "A note on the selected result; it is saved with it"
        self.keep.tooltip = "Keep the selected results, or no longer (K)"
        self.discard.tooltip = "Take the selected results out, with their layers (Delete)"
        self.go_on.tooltip = (
            "Its layout and settings become the form's: the next run goes on from this result"
        )
        self.compare.tooltip = (
            f"The selected results side by side, at most {MOST}, enlarged and moved together"
        )
        self.undo.tooltip = "Bring back what was discarded last"
        self.save.tooltip = (
            "Save what is kept as one training stack: a new folder, or more samples into an old one"
        )
        box = column_in(self, 6, 4)
        box.addWidget(form(("Variations", [self.count, self.vary])))
        box.addWidget(self.view, 1)
        box.addWidget(form(("Note", [self.note])))
        box.addWidget(side_by_side(self.keep, self.discard, self.undo))
        box.addWidget(side_by_side(self.compare, self.go_on, self.save))
        box.addWidget(self.status.native)
        box.addWidget(Section("Stain of the shown result", self.stain, folded=True))
        self._connect()
        self._show()

    def _connect(self) -> None:
        self.vary.changed.connect(self._vary)
        self.keep.changed.connect(self._keep)
        self.discard.changed.connect(self._discard)
        self.undo.changed.connect(self.gallery.undiscard)
        self.go_on.changed.connect(self._continue)
        self.compare.changed.connect(self._compare)
        self.save.changed.connect(self._ask_and_save)
        self.note.native.editingFinished.connect(self._note)
        self.view.keys = {Qt.Key.Key_K: self._keep, Qt.Key.Key_Delete: self._discard}
        sure(self.view.selectionModel()).selectionChanged.connect(self._on_chosen)
        self.view.clicked.connect(lambda index: self.gallery.show(index.row()))
        self.view.activated.connect(lambda index: self.gallery.show(index.row()))
        # Not bound methods: the CoSynth dock may outlive this one, and Qt destroys this one's C++ side
        # before its Python side.
        heard: list[tuple[SignalInstance, Callable[..., None]]] = [
            (self.gallery.changed, partial(GalleryDock._show, self)),
            (self.gallery.displayed, partial(GalleryDock._on_displayed, self)),
            (self.panel.runner.began, partial(GalleryDock._show, self)),
            (self.panel.runner.progressed, partial(GalleryDock._on_progress, self)),
            (self.panel.runner.ended, partial(GalleryDock._on_end, self)),
        ]
        for signal, action in heard:
            signal.connect(action)
        self.destroyed.connect(partial(_let_go, heard, self.stain))

    @property
    def rows(self) -> list[int]:
        """The selected rows, in ascending order."""
        return sorted(index.row() for index in sure(self.view.selectionModel()).selectedIndexes())

    @property
    def _cancels(self) -> bool:
        """Whether the button for variations means Cancel: a run is going on that Live did not start."""
        return self.panel.runner.busy and not self.panel.live.busy

    def _vary(self) -> None:
        if self._cancels:
            self.panel.stop()
            return
        points = self.panel.layout_controls.points
        name = points.name if points is not None else ""
        used = [i.entry.seed for i in self.gallery.items if i.entry.layout == name]
        first = max(used) + 1 if used else self.panel.sampling.draw_seeds()[0]
        last = min(first + int(self.count.value), LARGEST_SEED + 1)
        self.panel.vary(tuple(range(first, last)))

    def _on_progress(self, progress: Progress) -> None:
        done = f"sample {progress.index + 1} of {progress.count}, step {progress.step}"
        self.status.value = f"{done} of {progress.steps}"

    def _on_end(self, outcome: str) -> None:
        self._show()

    def _keep(self) -> None:
        rows = self.rows
        kept = all(self.gallery.items[row].entry.kept for row in rows)
        self.gallery.keep(rows, not kept)

    def _discard(self) -> None:
        self.gallery.discard(self.rows)

    def _continue(self) -> None:
        """Continues from the selected result once its layers are shown: they hold all that is needed."""
        self._continued = self.gallery.items[self.rows[0]].group
        self.gallery.show(self.rows[0])

    def _compare(self) -> None:
        self.gallery.compare(self.rows, partial(_show_comparison, self))

    def show_sample(self, number: int) -> None:
        """Shows the sample of this number in the viewer, if it is still there."""
        numbers = [item.number for item in self.gallery.items]
        if number in numbers:
            self.gallery.show(numbers.index(number))

    def _on_displayed(self, group: str) -> None:
        if group == self._continued:
            self._continued = ""
            told(lambda: self.panel.continue_from(group))()

    def _note(self) -> None:
        if len(rows := self.rows) == 1:
            self.gallery.note(rows[0], str(self.note.value).strip())

    def _ask_and_save(self) -> None:
        if (path := ask_stack(self)) is not None:
            self.gallery.save_kept(path)

    def _on_chosen(self, chosen: QItemSelection, before: QItemSelection) -> None:
        self._show()

    def _show(self) -> None:
        """Updates the buttons, the note and the status for the selected rows."""
        items, rows = self.gallery.items, self.rows
        kept = sum(item.entry.kept for item in items)
        count = "1 result" if len(items) == 1 else f"{len(items)} results"
        self.status.value = f"{count}, {kept} kept"
        self.vary.text = "Cancel" if self._cancels else "Synthesise variations"
        for button in (self.keep, self.discard):
            allow(button, "" if rows else "select results first")
        allow(self.go_on, "" if len(rows) == 1 else "select one result first")
        allow(self.compare, "" if len(rows) > 1 else "select several results first")
        all_kept = bool(rows) and all(items[row].entry.kept for row in rows)
        self.keep.text = "Keep no longer" if all_kept else "Keep"
        allow(self.undo, "" if self.gallery.can_undiscard else "nothing was discarded")
        allow(self.save, "" if kept else "nothing is kept: select results and press Keep")
        self.note.enabled = len(rows) == 1
        text = items[rows[0]].entry.note if len(rows) == 1 else ""
        if not self.note.native.hasFocus() or not self.note.enabled:
            self.note.value = text


def _show_comparison(dock: GalleryDock, samples: list[Compared]) -> None:
    dialog = Comparison(samples, window())
    dialog.picked.connect(dock.show_sample)
    dock.comparison = dialog
    dialog.show()


def _let_go(
    heard: Sequence[tuple[SignalInstance, Callable[..., None]]], stain: StainControls, _: object
) -> None:
    stain.let_go()
    for signal, action in heard:
        signal.disconnect(action, missing_ok=True)


class Thumbnails(QListView):
    """List of thumbnails in rows that fill the width; kept samples have a mark."""

    def __init__(self, gallery: Gallery) -> None:
        super().__init__()
        self.keys: dict[int, Callable[[], None]] = {}
        self.setModel(gallery)
        self.setAccessibleName("Samples of this session")
        self.setToolTip("K keeps the selected samples, Delete takes them out")
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
        self.setSpacing(2)
        # Results of one layout differ at the end of their names.
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setItemDelegate(_Card(gallery, self))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        # Not shortcuts: Qt's list view uses letter keys to search its items.
        if action := self.keys.get(sure(event).key()):
            action()
        else:
            super().keyPressEvent(event)


class _Card(QStyledItemDelegate):
    """Painter of one thumbnail over its caption; a kept sample has a white tick on green."""

    def __init__(self, gallery: Gallery, parent: QListView) -> None:
        super().__init__(parent)
        self._gallery = gallery

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(THUMBNAIL + 24, THUMBNAIL + 10 + 2 * option.fontMetrics.lineSpacing())

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        super().paint(painter, option, index)
        painter = sure(painter)
        entry = self._gallery.items[index.row()].entry
        if not entry.kept:
            return
        badge = QRect(option.rect.right() - 23, option.rect.top() + 4, 18, 18)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(KEPT)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawEllipse(badge)
        painter.setPen(QColor("white"))
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, "✓")
        painter.restore()
