"""The session's samples as a Qt model: keep, discard, note, show, compare and save them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from napari.utils.notifications import show_info, show_warning
from psygnal import Signal
from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt

from napari_cosynth.export.stack import Described, append_stack
from napari_cosynth.types import Record, Synthesis
from napari_cosynth.widget.gallery.comparison import MOST, Compared, compared
from napari_cosynth.widget.gallery.gallery_layers import Shown, touched
from napari_cosynth.widget.gallery.item import Item, caption, icon
from napari_cosynth.widget.gallery.session import Entry, Session
from napari_cosynth.widget.gallery.stored_runs import StoredRun
from napari_cosynth.widget.gallery.unfinished import UnfinishedSessions
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.result.result_view import insert_below_points
from napari_cosynth.widget.result.saving import (
    Group,
    described_sample,
    drawn_record,
    groups_of,
    stack_folder,
)
from napari_cosynth.widget.run.background import Background


class Gallery(QAbstractListModel):
    """Rows are the session's samples, oldest first. Reads and writes happen off the GUI thread."""

    displayed = Signal(str)
    """Name of the group whose layers are now the visible ones."""
    changed = Signal()
    """Rows, or the samples that are kept, changed."""

    def __init__(self, viewer: ViewerModel, session: Session | None = None) -> None:
        super().__init__()
        self.items: list[Item] = []
        self.names: set[str] = set()
        """Groups of the rows and of the samples that are still being written."""
        self._viewer = viewer
        self._session = session or Session()
        self._work = Background("gallery")
        self._shown = Shown(viewer)
        self._discarded: list[tuple[Item, list[Layer]]] = []
        self.unfinished = UnfinishedSessions(
            self._session, self._work, self._names_taken, self._append
        )

    @property
    def busy(self) -> bool:
        """Whether something is being read or written."""
        return self._work.busy

    def close(self) -> None:
        """Stops the work in the background; the samples stay on the disk until the program ends."""
        self._work.close()

    # -- Qt's side

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return len(self.items)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        item = self.items[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return caption(item.entry)
        if role == Qt.ItemDataRole.DecorationRole:
            return icon(item.thumbnail)
        if role == Qt.ItemDataRole.ToolTipRole:
            lines = [item.group, item.entry.prompt, item.entry.note]
            return "\n".join(line for line in lines if line)
        return None

    # -- samples come and go

    def record(
        self,
        sample: Synthesis,
        layout: str,
        placement: Placement,
        group: str,
        fleeting: bool = False,
    ) -> None:
        """Writes a finished sample, whose layers are ``group``.

        ``fleeting``: the next sample replaces these layers.
        """
        if fleeting:
            self._shown.take(group)
        self.names.add(group)

        def work() -> Item:
            number = self._session.add(sample, layout, placement)
            return Item.of(number, self._session.entries[number], sample.record.image, group)

        self._work.do(work, lambda item: self._append([item]))

    def _append(self, items: Sequence[Item]) -> None:
        # The session's limit on the disk may have removed samples that nobody kept.
        for row in reversed(range(len(self.items))):
            if self.items[row].number not in self._session.entries:
                self._drop(row)
        self.beginInsertRows(QModelIndex(), len(self.items), len(self.items) + len(items) - 1)
        self.items += items
        self.names.update(item.group for item in items)
        self.endInsertRows()
        self.changed.emit()

    def _names_taken(self) -> set[str]:
        return {*results.groups(self._viewer), *self.names}

    def keep(self, rows: Sequence[int], kept: bool) -> None:
        """Marks these samples as kept, or no longer as kept."""
        for row in rows:
            self._change(row, replace(self.items[row].entry, kept=kept))

    def note(self, row: int, text: str) -> None:
        """Sets the note on a sample; it is saved with the sample."""
        if text != self.items[row].entry.note:
            self._change(row, replace(self.items[row].entry, note=text, saved=False))

    def _change(self, row: int, entry: Entry) -> None:
        number = self.items[row].number
        self.items[row] = replace(self.items[row], entry=entry)
        self._work.do(lambda: self._session.change(number, entry))
        self.dataChanged.emit(self.index(row), self.index(row))
        self.changed.emit()

    def discard(self, rows: Sequence[int]) -> None:
        """Removes samples: rows and layers at once, files at the next discard or the program's end.

        Until then :meth:`undiscard` brings them back.
        """
        for item, _ in self._discarded:
            self._work.do(partial(self._session.discard, item.number))
        self._discarded = []
        for row in sorted(rows, reverse=True):
            item = self.items[row]
            layers = results.groups(self._viewer).get(item.group, {})
            self._discarded.insert(0, (item, [results.copied(x) for x in layers.values()]))
            results.discard(self._viewer, item.group)
            self._drop(row)
            # A kept sample would stay on the disk after the program ends, to be recovered.
            self._work.do(
                partial(self._session.change, item.number, replace(item.entry, kept=False))
            )
        self.changed.emit()

    @property
    def can_undiscard(self) -> int:
        """Number of samples that were discarded last."""
        return len(self._discarded)

    def undiscard(self) -> None:
        """Brings back the samples that were discarded last, in their rows, with their layers."""
        back, self._discarded = self._discarded, []
        for item, layers in back:
            if item.number not in self._session.entries:
                continue  # the session's limit on the disk has removed it
            row = sum(other.number < item.number for other in self.items)
            self.beginInsertRows(QModelIndex(), row, row)
            self.items.insert(row, item)
            self.names.add(item.group)
            self.endInsertRows()
            self._work.do(partial(self._session.change, item.number, item.entry))
            for layer in layers:
                insert_below_points(self._viewer, layer)
        self.changed.emit()

    def _drop(self, row: int) -> None:
        self.beginRemoveRows(QModelIndex(), row, row)
        self.names.discard(self.items.pop(row).group)
        self.endRemoveRows()

    # -- shown and saved

    def show(self, row: int) -> None:
        """Shows a sample's layers and hides all other results."""
        item = self.items[row]
        if self._shown.show(item.group):
            self.displayed.emit(item.group)
            return

        def fill(found: Described) -> None:
            self._shown.fill(found, item.entry.placement, item.group)
            self.displayed.emit(item.group)

        self._work.do(lambda: self._session.read(item.number), fill)

    def compare(self, rows: Sequence[int], then: Callable[[list[Compared]], None]) -> None:
        """Reads up to ``MOST`` samples and passes them to ``then``, to be shown side by side.

        A sample whose layers were edited in the viewer is shown as they are now.
        """
        items = [self.items[row] for row in rows][:MOST]
        edited = self._edited(items)

        def record(item: Item) -> Record:
            if item.number not in edited:
                return self._session.read(item.number).record
            return drawn_record(edited[item.number])

        def words(item: Item) -> str:
            kept = " ✓" if item.entry.kept else ""
            return f"{item.group}{kept}\n{item.entry.note}".strip()

        self._work.do(lambda: [compared(i.number, words(i), record(i)) for i in items], then)

    def save_kept(self, path: Path) -> None:
        """Saves the kept samples as a training stack, or appends them to one.

        A sample whose layers were edited in the viewer is saved as they are now.
        """
        rows = [item for item in self.items if item.entry.kept]
        if not rows:
            show_warning("nothing is kept: choose results and press Keep")
            return
        edited = self._edited(rows)

        def described(item: Item) -> Described:
            if item.number not in edited:
                return self._session.read(item.number)
            made = described_sample(edited[item.number])
            note = {"note": item.entry.note} if item.entry.note else {}
            return Described(made.record, made.description | note)

        def work() -> Path:
            return append_stack([described(item) for item in rows], stack_folder(path))

        def tell(folder: Path) -> None:
            numbers = {item.number for item in rows}
            for row, item in enumerate(self.items):
                if item.number in numbers:
                    self._change(row, replace(item.entry, saved=True))
            show_info(f"saved {len(rows)} result{'s' if len(rows) > 1 else ''} in {folder}")

        self._work.do(work, tell)

    def _edited(self, items: Sequence[Item]) -> dict[int, Group]:
        """Layers of the samples that were edited in the viewer, as they are now, by the item's number."""
        there = results.groups(self._viewer)
        found = {}
        for item in items:
            if item.group in there and touched(there[item.group]):
                tuples = [layer.as_layer_data_tuple() for layer in there[item.group].values()]
                (found[item.number],) = groups_of(tuples)
        return found

    def keep_runs(self, runs: Sequence[StoredRun]) -> None:
        """Writes the runs that are not done yet, in place of those that were written before."""
        self._work.do(partial(self._session.keep_runs, runs))
