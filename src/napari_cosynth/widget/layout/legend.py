"""The class picker: one row per class with its key, colour, name and count."""

from __future__ import annotations

import math
from collections.abc import Sequence

from psygnal import Signal
from qtpy.QtCore import QPointF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPainterPath, QPixmap, QPolygonF
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_cosynth.types import ClassTable
from napari_cosynth.widget.layers.appearance import SYMBOLS, seen_colors
from napari_cosynth.widget.qt.forms import sure

_KEY, _NAME, _COUNT = range(3)
_SWATCH = 14


class Legend(QTableWidget):
    """Rows are the classes without the background; the selected row is the next point's class."""

    picked = Signal(str)
    """Name of the class that the user clicked."""

    def __init__(self) -> None:
        super().__init__(0, 3)
        self._names: tuple[str, ...] = ()
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setIconSize(QSize(_SWATCH, _SWATCH))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        sure(self.verticalHeader()).hide()
        header = sure(self.horizontalHeader())
        header.hide()
        header.setSectionResizeMode(_KEY, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(_COUNT, QHeaderView.ResizeMode.ResizeToContents)
        self.setAccessibleName("Classes")
        self.setToolTip(
            "Class of the next point, and of the selected points: click a row, or press its keys "
            "while the layout layer is active"
        )
        # Tab leaves the table; Enter does what a click does.
        self.setTabKeyNavigation(False)
        self.cellClicked.connect(lambda row, _: self.picked.emit(self._names[row]))
        self.cellActivated.connect(lambda row, _: self.picked.emit(self._names[row]))

    def show_classes(self, classes: ClassTable) -> None:
        """Shows one row per class; counts are empty until :meth:`show_counts`."""
        self._names = classes.names[1:]
        self.setRowCount(len(self._names))
        for row, (name, color) in enumerate(
            zip(self._names, seen_colors(classes)[1:], strict=True)
        ):
            key = QTableWidgetItem(swatch(QColor(*(int(c) for c in color)), row), "")
            key.setText(f"Ctrl+{row + 1}" if row < 9 else "")
            self.setItem(row, _KEY, key)
            self.setItem(row, _NAME, QTableWidgetItem(name))
            count = QTableWidgetItem("")
            count.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, _COUNT, count)
            self.setRowHeight(row, 22)
        self.setFixedHeight(22 * min(len(self._names), 8) + 4)

    def show_counts(self, counts: Sequence[int]) -> None:
        """Shows the number of points per class id, background first."""
        for row in range(self.rowCount()):
            sure(self.item(row, _COUNT)).setText(f"{counts[row + 1]:,}" if counts[row + 1] else "–")

    def show_current(self, name: str) -> None:
        """Highlights the next point's class."""
        if name in self._names:
            self.selectRow(self._names.index(name))


def swatch(color: QColor, row: int) -> QIcon:
    """Icon with the symbol and colour of a class' points; it looks the same in a selected row."""
    pixmap = QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(color)
    painter.setPen(QColor(0, 0, 0))
    painter.drawPath(_outline(SYMBOLS[row % len(SYMBOLS)]))
    painter.end()
    icon = QIcon(pixmap)
    # Qt would tint the icon in a selected row, and its colour would differ from that of the points.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def _outline(symbol: str) -> QPainterPath:
    """Outline of napari's symbol in a square of ``_SWATCH`` pixels."""
    path, middle, radius = QPainterPath(), _SWATCH / 2 - 0.5, _SWATCH / 2 - 1.5
    if symbol == "disc":
        path.addEllipse(QPointF(middle, middle), radius, radius)
        return path
    path.addPolygon(
        QPolygonF([QPointF(middle + radius * x, middle - radius * y) for x, y in _CORNERS[symbol]])
    )
    path.closeSubpath()
    return path


_CORNERS: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle_up": [(-1, -0.85), (1, -0.85), (0, 1)],
    "triangle_down": [(-1, 0.85), (1, 0.85), (0, -1)],
    "diamond": [(0, -1), (0.8, 0), (0, 1), (-0.8, 0)],
    "star": [
        (r * math.sin(math.pi * k / 5), r * math.cos(math.pi * k / 5))
        for k, r in enumerate((1.1, 0.45) * 5)
    ],
    "cross": [
        *((-0.35, 1), (0.35, 1), (0.35, 0.35), (1, 0.35), (1, -0.35), (0.35, -0.35)),
        *((0.35, -1), (-0.35, -1), (-0.35, -0.35), (-1, -0.35), (-1, 0.35), (-0.35, 0.35)),
    ],
}
"""Corners (x, y) of the symbols that have some, y upwards, in radii."""
