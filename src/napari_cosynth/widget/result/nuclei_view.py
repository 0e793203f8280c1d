"""Qt's view of the table of nuclei, and the filter of its rows by class and flag."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
from psygnal import Signal
from qtpy.QtCore import QItemSelectionModel, QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_cosynth.widget.qt.forms import sure
from napari_cosynth.widget.result.nuclei import FLAGS
from napari_cosynth.widget.result.nuclei_model import CLASS, ID, NucleusModel

EVERY_CLASS, EVERY_FLAG, ANY_FLAG, NO_FLAG, MARKED = (
    "every class",
    "all nuclei",
    "any flag",
    "no flag",
    "marked to drop",
)
FLAG_CHOICES = (EVERY_FLAG, ANY_FLAG, *FLAGS, NO_FLAG, MARKED)
BESIDE_NAME, WIDEST_CLASS = 40, 260
"""Pixels beside a class' name in its column, for the swatch and the margins; and of the widest column."""


class NucleusFilter(QSortFilterProxyModel):
    """Qt filter that lets through the rows of one class and one flag."""

    def __init__(self, model: NucleusModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._class, self._flag = EVERY_CLASS, EVERY_FLAG
        self._accepted = np.zeros(0, bool)
        self.setSourceModel(model)
        model.modelAboutToBeReset.connect(self._stale)
        model.marked_changed.connect(self._stale)

    def choose(self, class_name: str, flag: str) -> None:
        """Chooses one class, or every class, and one of ``FLAG_CHOICES``."""
        self._class, self._flag = class_name, flag
        self._stale()
        self.invalidateFilter()

    def _stale(self) -> None:
        self._accepted = np.zeros(0, bool)

    def filterAcceptsRow(self, row: int, _: QModelIndex) -> bool:
        # Qt asks row by row, so all rows are decided at the first call.
        if len(self._accepted) != self.model.rowCount():
            self._accepted = self._accept()
        return bool(self._accepted[self.model.rows[row]])

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Lets the model sort itself: Qt would call Python for each cell."""
        self.model.sort(column, order)

    def _accept(self) -> npt.NDArray[np.bool_]:
        table = self.model.table
        assert table is not None
        accepted = np.ones(len(table), bool)
        if self._class in table.classes.names:
            accepted &= table.class_ids == table.classes.names.index(self._class)
        if self._flag in FLAGS:
            accepted &= table.flags[:, FLAGS.index(self._flag)]
        elif self._flag in (ANY_FLAG, NO_FLAG):
            accepted &= table.flags.any(1) == (self._flag == ANY_FLAG)
        elif self._flag == MARKED:
            accepted &= np.isin(table.ids, list(self.model.marked))
        return accepted

    def ids(self) -> list[int]:
        """The shown ids, in their order."""
        return [self.id_at(row) for row in range(self.rowCount())]

    def id_at(self, row: int) -> int:
        """The id of a shown row."""
        return self.model.id_at(self.mapToSource(self.index(row, 0)).row())

    def row_of(self, id_: int) -> int | None:
        """The shown row of an id; None if it is filtered out."""
        row = self.model.row_of(id_)
        if row is None:
            return None
        shown = self.mapFromSource(self.model.index(row, 0)).row()
        return shown if shown >= 0 else None


class NucleusView(QTableView):
    """View of the table; it emits ``went`` when the user makes a row the current one."""

    went = Signal(int)
    """Id of the nucleus to go to."""

    def __init__(self, model: NucleusModel) -> None:
        super().__init__()
        self._told = True
        self.shown = NucleusFilter(model, self)
        self.setModel(self.shown)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSortingEnabled(True)
        self.sortByColumn(ID, Qt.SortOrder.AscendingOrder)
        self.setShowGrid(False)
        self.setWordWrap(False)
        # All rows have the same height: Qt would measure each of 10,000 rows.
        rows = sure(self.verticalHeader())
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(22)
        header = sure(self.horizontalHeader())
        header.setMinimumSectionSize(30)
        for column, width in enumerate((40, 44, 92, 48, 56, 54, 62, 56)):
            self.setColumnWidth(column, width)
        self._narrowest = self.columnWidth(CLASS)
        model.modelReset.connect(self._fit_classes)
        self.setTabKeyNavigation(False)
        self.setAccessibleName("Nuclei")
        self.setToolTip(
            "Click a row to go to its nucleus; Delete marks the selected rows to be dropped, or takes "
            "the marks off"
        )

    def _fit_classes(self) -> None:
        """Makes the column of classes as wide as the longest name in the table with its swatch."""
        table = self.shown.model.table
        names = () if table is None else table.classes.names[1:]
        metrics = self.fontMetrics()
        words = max((metrics.horizontalAdvance(name) for name in names), default=0)
        self.setColumnWidth(CLASS, min(max(self._narrowest, words + BESIDE_NAME), WIDEST_CLASS))

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        super().currentChanged(current, previous)
        if self._told and current.isValid() and current.row() != previous.row():
            self.went.emit(self.shown.id_at(current.row()))

    def select(self, id_: int) -> None:
        """Makes a nucleus' row the current one without emitting ``went``."""
        row = self.shown.row_of(id_)
        if row is None or row == self.currentIndex().row():
            return
        self._told = False
        self.selectRow(row)
        self._told = True

    def step(self, forth: bool, wanted: Collection[int]) -> bool:
        """Goes to the next or the previous shown row with one of the ``wanted`` ids.

        After the last row it goes on with the first. False if no such row is shown.
        """
        ids = self.shown.ids()
        count, at = len(ids), self.currentIndex().row()
        order = range(1, count + 1) if forth else range(-1, -count - 1, -1)
        for offset in order:
            row = (at + offset) % count if at >= 0 or forth else count + offset
            if ids[row] in wanted:
                # Not selectRow: the key for the row above is Shift-N, and with Shift held selectRow
                # would add the row to the selection.
                flags = QItemSelectionModel.SelectionFlag
                sure(self.selectionModel()).setCurrentIndex(
                    self.shown.index(row, 0), flags.ClearAndSelect | flags.Rows
                )
                return True
        return False

    def selected_ids(self) -> list[int]:
        return [self.shown.id_at(i.row()) for i in sure(self.selectionModel()).selectedRows()]

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if sure(event).key() not in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            super().keyPressEvent(event)
            return
        chosen = self.selected_ids()
        self.shown.model.mark(chosen, on=not set(chosen) <= self.shown.model.marked)
