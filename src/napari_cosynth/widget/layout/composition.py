"""The layout dock's table of classes: count, share as a bar, and the share wanted (target)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal
from qtpy.QtCore import QModelIndex, QRect, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDoubleSpinBox,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_cosynth.layouts.drawn.composition import missing, shares
from napari_cosynth.types import ClassTable
from napari_cosynth.widget.layers.appearance import seen_colors
from napari_cosynth.widget.layout.legend import swatch
from napari_cosynth.widget.qt.forms import sure

_NAME, _COUNT, _SHARE, _TARGET = range(4)
_ROW = 22
_BAR = Qt.ItemDataRole.UserRole
"""Item role of a bar's (share, target or None, colour)."""


class Composition(QTableWidget):
    """Rows are the classes without the background; the selected row is the next point's class."""

    picked = Signal(str)
    """Name of the class that the user clicked."""
    targeted = Signal(dict)
    """The targets that the user set: class name -> share in 0..1, unset ones left out."""

    def __init__(self) -> None:
        super().__init__(0, 4)
        self._classes: ClassTable | None = None
        self._counts: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self._targets: dict[str, float] = {}
        self.setHorizontalHeaderLabels(["class", "points", "share", "target"])
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.SelectedClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.setTabKeyNavigation(False)
        self.setAccessibleName("Classes and their shares")
        self.setToolTip("Class of the next point; a double click or F2 on a target sets its share")
        self.setShowGrid(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        sure(self.verticalHeader()).hide()
        header = sure(self.horizontalHeader())
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(_COUNT, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_SHARE, QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(_TARGET, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(_SHARE, 78)
        header.resizeSection(_TARGET, 54)
        header.setFixedHeight(_ROW)
        self.setItemDelegateForColumn(_SHARE, _Bar(self))
        self.setItemDelegateForColumn(_TARGET, _Percent(self))
        self.cellClicked.connect(self._on_click)
        self.cellActivated.connect(self._on_click)  # Enter
        self.itemChanged.connect(self._on_change)

    @property
    def targets(self) -> dict[str, float]:
        return dict(self._targets)

    def show_classes(self, classes: ClassTable, targets: Mapping[str, float]) -> None:
        """Shows one row per class, with the targets, shares in 0..1 by class name."""
        self._classes = classes
        self._targets = {n: t for n, t in targets.items() if n in classes.names[1:]}
        self.blockSignals(True)
        self.setRowCount(len(classes) - 1)
        for row, name in enumerate(classes.names[1:]):
            first = QTableWidgetItem(swatch(_color(classes, row), row), name)
            first.setToolTip(f"{name} (Ctrl+{row + 1})" if row < 9 else name)
            for column, item in (
                (_NAME, first),
                (_COUNT, QTableWidgetItem()),
                (_SHARE, QTableWidgetItem()),
                (_TARGET, QTableWidgetItem()),
            ):
                editable = Qt.ItemFlag.ItemIsEditable if column == _TARGET else Qt.ItemFlag(0)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | editable)
                if column != _NAME:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.setItem(row, column, item)
            self.setRowHeight(row, _ROW)
        self.blockSignals(False)
        self.setFixedHeight(_ROW * (min(len(classes) - 1, 8) + 1) + 4)
        self._show()

    def show_counts(self, counts: npt.NDArray[np.int64]) -> None:
        """Shows the number of points per class id, (K,), background first."""
        self._counts = np.asarray(counts)
        self._show()

    def show_current(self, name: str) -> None:
        """Highlights the next point's class."""
        if self._classes is not None and name in self._classes.names[1:]:
            self.selectRow(self._classes.names.index(name) - 1)

    def _show(self) -> None:
        if self._classes is None or len(self._counts) != len(self._classes):
            return
        # Points of no known class do not count; the editor undoes such an edit.
        counts = self._counts[1:]
        parts, total = shares(counts), int(counts.sum())
        self.blockSignals(True)
        for row, name in enumerate(self._classes.names[1:]):
            count, target = int(counts[row]), self._targets.get(name)
            number, bar, aim = (sure(self.item(row, c)) for c in (_COUNT, _SHARE, _TARGET))
            number.setText(f"{count:,}" if count else "–")
            bar.setData(_BAR, (float(parts[row]), target, _color(self._classes, row)))
            bar.setToolTip(_words(count, total, float(parts[row]), target))
            aim.setText("–" if target is None else f"{100 * target:.0f} %")
            aim.setToolTip("Double-click: the share that this class should have")
        self.blockSignals(False)
        sure(self.viewport()).update()

    def _on_click(self, row: int, column: int) -> None:
        if self._classes is not None:
            self.picked.emit(self._classes.names[row + 1])

    def _on_change(self, item: QTableWidgetItem) -> None:
        if self._classes is None or item.column() != _TARGET:
            return
        name, value = self._classes.names[item.row() + 1], item.data(Qt.ItemDataRole.UserRole)
        if value is None or value < 0:
            self._targets.pop(name, None)
        else:
            self._targets[name] = value / 100
        self._show()
        self.targeted.emit(self.targets)


def _color(classes: ClassTable, row: int) -> QColor:
    return QColor(*(int(c) for c in seen_colors(classes)[row + 1]))


def _words(count: int, total: int, share: float, target: float | None) -> str:
    text = f"{count:,} of {total:,} points, {100 * share:.1f} %"
    if target is None or target >= 1:
        return text
    more = missing(count, total, target)
    need = "as it should be" if not more else f"{abs(more):,} {'more' if more > 0 else 'less'}"
    return f"{text}; for {100 * target:.0f} %: {need}"


class _Bar(QStyledItemDelegate):
    """Painter of a share: a bar in the class' colour, the percentage, and a tick at the target."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        super().paint(painter, option, index)
        painter = sure(painter)
        value: tuple[float, float | None, QColor] | None = index.data(_BAR)
        if value is None:
            return
        share, target, color = value
        room = option.rect.adjusted(4, 4, -40, -4)
        text = option.palette.color(option.palette.ColorRole.Text)
        painter.save()
        groove = QColor(text)
        groove.setAlpha(40)
        painter.fillRect(room, groove)
        painter.fillRect(
            QRect(room.left(), room.top(), round(share * room.width()), room.height()), color
        )
        if target is not None:
            at = room.left() + round(min(target, 1.0) * (room.width() - 2))
            painter.fillRect(QRect(at, room.top() - 3, 2, room.height() + 6), text)
        painter.setPen(text)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(option.rect.adjusted(0, 0, -4, 0), right, f"{100 * share:.0f} %")
        painter.restore()


class _Percent(QStyledItemDelegate):
    """Editor of a target in percent; a value below 0 means no target."""

    def createEditor(
        self, parent: QWidget | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> QWidget:
        editor = QDoubleSpinBox(parent)
        editor.setRange(-1, 99)
        editor.setDecimals(0)
        editor.setSpecialValueText("–")
        editor.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        editor.setStyleSheet("QAbstractSpinBox { min-width: 26px; }")
        return editor

    def setEditorData(self, editor: Any, index: QModelIndex) -> None:
        value = index.data(Qt.ItemDataRole.UserRole)
        editor.setValue(-1 if value is None else value)
        editor.selectAll()

    def setModelData(self, editor: Any, model: Any, index: QModelIndex) -> None:
        editor.interpretText()
        model.setData(index, editor.value(), Qt.ItemDataRole.UserRole)
