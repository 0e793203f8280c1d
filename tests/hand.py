"""The mouse and the keys over the canvas of a real window."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from napari.layers import Points
from qtpy.QtCore import QPoint, Qt

from napari_cosynth.widget.docks.panel import CoSynthPanel

LEFT = Qt.MouseButton.LeftButton
PATH = [(12.0, 12.0), (12.0, 50.0), (50.0, 50.0)]


class Hand:
    """The mouse and the keys over the canvas, as Qt delivers them."""

    def __init__(self, panel: CoSynthPanel, layer: Points, qtbot: Any) -> None:
        self.layer, self.qtbot = layer, qtbot
        self.viewer = panel.viewer
        self.canvas = panel.viewer.window._qt_viewer.canvas
        self.viewer.window._qt_window.resize(900, 700)
        self.viewer.window._qt_window.show()
        qtbot.waitExposed(self.viewer.window._qt_window)
        self.viewer.layers.selection.active = layer
        self.viewer.reset_view()
        self.moved = False
        self.viewer.mouse_drag_callbacks.append(self._follow)

    def at(self, point: tuple[float, float]) -> QPoint:
        camera = self.viewer.scene.camera
        y, x = (np.array(self.layer.data_to_world(point)) - camera.center[-2:]) * camera.zoom
        height, width = self.canvas.size
        return QPoint(round(width / 2 + x), round(height / 2 + y))

    def press(self, point: tuple[float, float], button: Any = LEFT) -> None:
        self.qtbot.mousePress(self.canvas.native, button, pos=self.at(point))

    def move(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        # Not qtbot's: without a pressed button of its own Qt's event would say that none is.
        from qtpy.QtCore import QEvent, QPointF
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtWidgets import QApplication

        last = self.at(start)
        for part in np.linspace(0, 1, 7)[1:]:
            here = self.at(tuple(np.array(start) + part * np.subtract(end, start)))
            if here == last:
                continue
            last, self.moved = here, False

            def passed_on(here: QPoint = here) -> bool:
                # napari passes on a move every 5 ms at most and may drop the last one of a burst;
                # a hand does not stand still either.
                event = QMouseEvent(
                    QEvent.Type.MouseMove,
                    QPointF(here),
                    QPointF(self.canvas.native.mapToGlobal(here)),
                    Qt.MouseButton.NoButton,
                    LEFT,
                    Qt.KeyboardModifier.NoModifier,
                )
                QApplication.sendEvent(self.canvas.native, event)
                return self.moved

            self.qtbot.waitUntil(passed_on, timeout=20_000)

    def _follow(self, viewer: Any, event: Any) -> Iterator[None]:
        yield
        while event.type == "mouse_move":
            self.moved = True
            yield

    def release(self, point: tuple[float, float], button: Any = LEFT) -> None:
        self.qtbot.mouseRelease(self.canvas.native, button, pos=self.at(point))

    def drag(self, path: list[tuple[float, float]] = PATH) -> None:
        self.press(path[0])
        for start, end in pairwise(path):
            self.move(start, end)
        self.release(path[-1])

    def key(self, key: Any, held: Any = Qt.KeyboardModifier.NoModifier) -> None:
        self.qtbot.keyClick(self.canvas.native, key, held)
