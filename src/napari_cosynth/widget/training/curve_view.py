"""A figure of a run over its steps, as a curve with its running mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

from napari_cosynth.training.run_folder import Curve

CURVE = QColor(60, 150, 210)
MEANS = 20
"""The width of the running mean is the curve's length divided by this."""
MOST_POINTS = 400
"""Most points that are drawn; with more, a point would be narrower than a pixel."""


class CurveView(QWidget):
    """Plot of one curve, with its largest and smallest value and its last step at the axes."""

    def __init__(self) -> None:
        super().__init__()
        self.curve: Curve | None = None
        self.setMinimumHeight(110)

    def sizeHint(self) -> QSize:
        return QSize(300, 120)

    def show_curve(self, curve: Curve | None) -> None:
        """Shows another curve, or none."""
        self.curve = curve
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        words = self.palette().color(self.foregroundRole())
        painter.setPen(words)
        if self.curve is None or not len(self.curve[0]):
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "no losses yet")
            return
        steps, values = thinned(*self.curve)
        low, high = float(values.min()), float(values.max())
        line = painter.fontMetrics().height()
        named = [f"{high:.3g}", f"{low:.3g}"]
        left = max(painter.fontMetrics().horizontalAdvance(text) for text in named) + 6
        box = QRectF(left, 4, self.width() - left - 6, self.height() - line - 10)
        painter.drawText(QPointF(0, box.top() + line * 0.7), named[0])
        painter.drawText(QPointF(0, box.bottom()), named[1])
        last = f"step {int(steps[-1]) + 1:,}"
        right = self.width() - painter.fontMetrics().horizontalAdvance(last) - 6
        painter.drawText(QPointF(right, self.height() - 4), last)
        faint = QColor(words)
        faint.setAlpha(70)
        painter.setPen(faint)
        painter.drawLine(box.bottomLeft(), box.bottomRight())
        painter.drawLine(box.topLeft(), box.bottomLeft())
        pale = QColor(CURVE)
        pale.setAlpha(110)
        for pen, drawn in ((QPen(pale, 1), values), (QPen(CURVE, 2), running_mean(values))):
            painter.setPen(pen)
            painter.drawPolyline(_polygon(steps, drawn, low, high, box))


def thinned(
    steps: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """A curve with at most :data:`MOST_POINTS` points: the last step and the mean of neighbours."""
    kept = np.isfinite(values)
    steps, values = steps[kept], values[kept]
    apart = -(-len(steps) // MOST_POINTS)
    if apart <= 1:
        return steps, values
    starts = np.arange(0, len(steps), apart)
    counts = np.diff([*starts, len(steps)])
    return steps[starts + counts - 1], np.add.reduceat(values, starts) / counts


def running_mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Running mean: the mean of each value and those before it, over ``1 / MEANS`` of the curve."""
    width = max(1, len(values) // MEANS)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _polygon(
    steps: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    low: float,
    high: float,
    box: QRectF,
) -> QPolygonF:
    across = (steps - steps[0]) / max(1, int(steps[-1] - steps[0]))
    up = (values - low) / max(high - low, 1e-12)
    x = box.left() + across * box.width()
    y = box.bottom() - up * box.height()
    return QPolygonF([QPointF(float(a), float(b)) for a, b in zip(x, y, strict=True)])
