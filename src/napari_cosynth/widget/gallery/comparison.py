"""Samples side by side with their names: zoomed and moved together, with or without outlines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from psygnal import Signal
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QWheelEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QGridLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from skimage.segmentation import find_boundaries

from napari_cosynth.types import Record
from napari_cosynth.widget.layers.appearance import seen_colors
from napari_cosynth.widget.qt.forms import sure
from napari_cosynth.widget.qt.thumbnails import as_qimage

MOST = 12
"""Largest number of samples side by side; more would be too small to compare."""
LARGEST_ZOOM = 32.0
STEP = 1.2
"""Factor of the zoom for one notch of the mouse wheel."""


@dataclass(frozen=True)
class Compared:
    """One sample of a comparison."""

    number: int
    """Its number in the gallery."""
    name: str
    plain: QImage
    outlined: QImage
    """The image with the outlines of its nuclei, in the colours of their classes."""


def compared(number: int, name: str, record: Record) -> Compared:
    """A record made ready for the comparison; may be called in any thread."""
    return Compared(number, name, as_qimage(record.image), as_qimage(_outlined(record)))


def _outlined(record: Record) -> npt.NDArray[np.uint8]:
    drawn = np.array(record.image)
    line = find_boundaries(record.instances, mode="inner")
    drawn[line] = seen_colors(record.classes)[record.labels[line]]
    return drawn


class Window:
    """The part that is seen of each picture; all pictures of a comparison share it."""

    changed = Signal()

    def __init__(self) -> None:
        self.zoom = 1.0
        """1: the whole picture."""
        self.centre = (0.5, 0.5)
        """Centre (x, y) of the seen part, as shares of the picture's sides, 0 to 1."""

    def look(self, zoom: float, centre: tuple[float, float]) -> None:
        """Sets zoom and centre, clipped so that the seen part stays inside the picture."""
        self.zoom = min(max(zoom, 1.0), LARGEST_ZOOM)
        half = 0.5 / self.zoom
        x, y = (min(max(share, half), 1 - half) for share in centre)
        self.centre = (x, y)
        self.changed.emit()


class Linked(QWidget):
    """A picture of which a shared window shows a part."""

    picked = Signal()
    """The picture was double-clicked."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.image = QImage()
        self._through = window
        self._held: QPointF | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(96, 96)
        window.changed.connect(self._look_again)

    def sizeHint(self) -> QSize:
        return QSize(320, 320)

    def show_image(self, image: QImage) -> None:
        """Shows another picture of the same size."""
        self.image = image
        self.update()

    def _look_again(self) -> None:
        self.update()

    @property
    def seen(self) -> QRectF:
        """The part of the picture that is seen, in the picture's pixels."""
        width, height = self.image.width(), self.image.height()
        (x, y), zoom = self._through.centre, self._through.zoom
        size = QPointF(width / zoom, height / zoom)
        return QRectF(x * width - size.x() / 2, y * height - size.y() / 2, size.x(), size.y())

    def _target(self) -> QRectF:
        """Rectangle of the widget in which the picture is drawn: as large as fits, centred."""
        width, height = max(1, self.image.width()), max(1, self.image.height())
        scale = min(self.width() / width, self.height() / height)
        size = QPointF(width * scale, height * scale)
        corner = QPointF((self.width() - size.x()) / 2, (self.height() - size.y()) / 2)
        return QRectF(corner.x(), corner.y(), size.x(), size.y())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        # Once enlarged, pixels are drawn as squares, without smoothing.
        smooth = self._target().width() < 3 * self.seen.width()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        painter.drawImage(self._target(), self.image, self.seen)
        painter.end()

    def _share(self, at: QPointF) -> tuple[float, float]:
        """Offset (x, y) of a widget's point from the centre, as shares of the drawn picture's sides."""
        target = self._target()
        return (
            (at.x() - target.center().x()) / max(1.0, target.width()),
            (at.y() - target.center().y()) / max(1.0, target.height()),
        )

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        event = sure(event)
        before = self._through.zoom
        zoom = min(max(before * STEP ** (event.angleDelta().y() / 120), 1.0), LARGEST_ZOOM)
        # The point under the mouse stays there.
        shift = 1 / before - 1 / zoom
        (x, y), (dx, dy) = self._through.centre, self._share(event.position())
        self._through.look(zoom, (x + dx * shift, y + dy * shift))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        self._held = sure(event).position()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if self._held is None:
            return
        now = sure(event).position()
        (x, y), zoom = self._through.centre, self._through.zoom
        (x0, y0), (x1, y1) = self._share(self._held), self._share(now)
        self._held = now
        self._through.look(zoom, (x - (x1 - x0) / zoom, y - (y1 - y0) / zoom))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._held = None

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        self.picked.emit()


class Comparison(QDialog):
    """Window with samples side by side; it stays open beside the viewer until it is closed."""

    picked = Signal(int)
    """Number of the sample that the user wants to see in the viewer."""

    def __init__(self, samples: Sequence[Compared], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"CoSynth: {len(samples)} results compared")
        self.samples = list(samples)
        self.through = Window()
        self.outlines = QCheckBox("Outlines")
        self.views = [Linked(self.through) for _ in samples]
        self.names = [QLabel(sample.name) for sample in samples]
        hint = QLabel("wheel: enlarge · drag: move · double-click: show in the viewer")
        grid = QGridLayout()
        columns = math.ceil(math.sqrt(len(samples)))
        for index, (sample, view, name) in enumerate(
            zip(samples, self.views, self.names, strict=True)
        ):
            name.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            name.setWordWrap(True)
            row, column = divmod(index, columns)
            grid.addWidget(view, 2 * row, column)
            grid.addWidget(name, 2 * row + 1, column)
            grid.setRowStretch(2 * row, 1)
            view.picked.connect(partial(self.picked.emit, sample.number))
        box = QVBoxLayout(self)
        box.addWidget(self.outlines)
        box.addLayout(grid, 1)
        box.addWidget(hint)
        self.outlines.toggled.connect(self._show)
        self._show()

    def _show(self) -> None:
        outlined = self.outlines.isChecked()
        for sample, view in zip(self.samples, self.views, strict=True):
            view.show_image(sample.outlined if outlined else sample.plain)
