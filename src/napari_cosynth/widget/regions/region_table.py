"""The regions of a Shapes layer as a table: tick, name, size and number of points."""

from __future__ import annotations

from collections.abc import Sequence

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_cosynth.widget.layers.shapes import Region
from napari_cosynth.widget.qt.forms import sure

HEADERS = ("name", "size, µm", "points")
NAME_COLUMN, SIZE_COLUMN, POINTS_COLUMN = range(3)


class RegionTable(QTableWidget):
    """Table with a row per region; a double click on a name edits it."""

    renamed = Signal(int, str)
    """A row and its new name."""
    ticked = Signal()
    """The rows with a tick changed."""

    def __init__(self) -> None:
        super().__init__(0, len(HEADERS))
        self._filling = False
        self.setHorizontalHeaderLabels(HEADERS)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        sure(self.verticalHeader()).hide()
        self.setShowGrid(False)
        header = sure(self.horizontalHeader())
        header.setSectionResizeMode(NAME_COLUMN, QHeaderView.ResizeMode.Stretch)
        for column in (SIZE_COLUMN, POINTS_COLUMN):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.setToolTip("Double-click a name to change it; what has a tick is laid out and sampled")
        self.itemChanged.connect(self._on_changed)

    def fill(self, regions: Sequence[Region], sizes: Sequence[str], points: Sequence[str]) -> None:
        """Shows these regions with their sizes and points. A row keeps its tick; new rows have one."""
        unticked = set(range(self.rowCount())) - set(self.rows)
        self._filling = True
        self.setRowCount(len(regions))
        for row, region in enumerate(regions):
            name = QTableWidgetItem(region.name)
            off = row in unticked
            name.setCheckState(Qt.CheckState.Unchecked if off else Qt.CheckState.Checked)
            self.setItem(row, NAME_COLUMN, name)
            for column, text in ((SIZE_COLUMN, sizes[row]), (POINTS_COLUMN, points[row])):
                item = QTableWidgetItem(text)
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                self.setItem(row, column, item)
        self._filling = False

    @property
    def rows(self) -> list[int]:
        """The rows with a tick."""
        return [
            row
            for row in range(self.rowCount())
            if sure(self.item(row, NAME_COLUMN)).checkState() == Qt.CheckState.Checked
        ]

    def _on_changed(self, item: QTableWidgetItem) -> None:
        if not self._filling and item.column() == NAME_COLUMN:
            self.renamed.emit(item.row(), item.text())
            self.ticked.emit()
