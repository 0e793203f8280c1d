"""Qt's model of the table in :mod:`.nuclei`: its columns, its order, and the marked nuclei."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QWidget

from napari_cosynth.widget.layers.appearance import seen_colors
from napari_cosynth.widget.result.nuclei import FLAGS, NucleusTable

HEADERS = ("drop", "id", "class", "µm²", *FLAGS)
DROP, ID, CLASS, AREA, FIRST_FLAG = range(5)
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class NucleusModel(QAbstractTableModel):
    """Qt model of a :class:`NucleusTable`, with the nuclei that are marked to be dropped."""

    marked_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table: NucleusTable | None = None
        self.marked: set[int] = set()
        """Ids of the marked nuclei."""
        self.rows: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        """Row of the model -> row of the table."""
        self._sorted = ID, Qt.SortOrder.AscendingOrder
        self._columns: list[list[Any]] = []
        """Columns in the model's order of rows, as plain Python values."""

    def show(self, table: NucleusTable | None, marked: Collection[int] = ()) -> None:
        """Shows another table, or none; drops the marks of ids that it lacks."""
        self.beginResetModel()
        self.table = table
        self.marked = set() if table is None else set(marked) & set(table.ids.tolist())
        self._arrange()
        self.endResetModel()
        self.marked_changed.emit()

    def _arrange(self) -> None:
        """Sorts the rows. numpy does it, because Qt would ask for two cells at each comparison."""
        table = self.table
        if table is None:
            self.rows, self._columns = np.zeros(0, np.int64), []
            return
        names = np.array(["", *table.classes.names[1:]], object)[table.class_ids]
        columns = [
            np.isin(table.ids, list(self.marked)),
            table.ids,
            names,
            np.nan_to_num(table.area, nan=-1),
            *table.flags.T,
        ]
        column, order = self._sorted
        _, keys = np.unique(
            columns[column].astype(str if column == CLASS else float), return_inverse=True
        )
        down = order == Qt.SortOrder.DescendingOrder
        self.rows = np.argsort(-keys if down else keys, kind="stable")
        self._columns = [c[self.rows].tolist() for c in columns]

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sorts by a column; equal rows stay in the order of their ids."""
        self.layoutAboutToBeChanged.emit()
        before, self._sorted = self.rows, (column, order)
        self._arrange()
        at = np.argsort(self.rows)  # row of the table -> row of the model
        old = self.persistentIndexList()
        self.changePersistentIndexList(
            old, [self.index(int(at[before[i.row()]]), i.column()) for i in old]
        )
        self.layoutChanged.emit()

    def id_at(self, row: int) -> int:
        """The id in a row of the model."""
        return int(self._columns[ID][row])

    def row_of(self, id_: int) -> int | None:
        """The model's row of an id; None if there is no such id."""
        row = None if self.table is None else self.table.row_of(id_)
        return None if row is None else int(np.flatnonzero(self.rows == row)[0])

    def mark(self, ids: Iterable[int], on: bool = True) -> None:
        """Marks nuclei to be dropped, or removes the marks."""
        before = set(self.marked)
        self.marked = before | set(ids) if on else before - set(ids)
        if self.table is not None and before != self.marked:
            self.marked_changed.emit()
            last = self.index(len(self.table) - 1, DROP)
            self.dataChanged.emit(self.index(0, DROP), last)

    # -- Qt's interface

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        inside = parent is not None and parent.isValid()
        return 0 if self.table is None or inside else len(self.table)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(HEADERS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return HEADERS[section]
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == DROP else flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column, table = index.row(), index.column(), self.table
        if table is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole and column == CLASS:
            return self._text(row, column)
        if role == Qt.ItemDataRole.CheckStateRole and column == DROP:
            marked = self.id_at(row) in self.marked
            return Qt.CheckState.Checked if marked else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.DecorationRole and column == CLASS:
            class_id = table.class_ids[self.rows[row]]
            return QColor(*(int(v) for v in seen_colors(table.classes)[class_id]))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            if column in (ID, AREA):
                return _RIGHT
            return Qt.AlignmentFlag.AlignCenter if column >= FIRST_FLAG else None
        return None

    def _text(self, row: int, column: int) -> str:
        assert self.table is not None
        if column == DROP:
            return ""
        value = self._columns[column][row]
        if column >= FIRST_FLAG:
            return "●" if value else ""
        if column == AREA:
            return f"{value:.1f}" if value >= 0 else "–"
        return str(value) or "–"

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or index.column() != DROP:
            return False
        self.mark([self.id_at(index.row())], Qt.CheckState(value) == Qt.CheckState.Checked)
        return True
