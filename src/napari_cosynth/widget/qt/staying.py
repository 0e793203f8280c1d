"""Contents of docks: with a title and a place of their own; they accept dropped files and outlive the
dock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import ref

from psygnal import Signal
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QShowEvent
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_cosynth.widget.qt.forms import sure


class Tabbed(QWidget):
    """Content of a dock, with a short title on its tab; it first appears as a tab beside a neighbour.

    A file that is dropped on it opens as if it had been dropped on the viewer.
    """

    title = ""

    def __init__(self) -> None:
        super().__init__()
        self._placed = False
        self.setAcceptDrops(True)

    def neighbour(self) -> QWidget | None:
        """The widget beside which it first becomes a tab; None: it stays where napari put it."""
        return None

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        retitle(self, self.title)
        other = None if self._placed else self.neighbour()
        if other is not None:
            self._placed = True
            QTimer.singleShot(0, partial(share_the_place, self, other))  # napari places it first

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and sure(event.mimeData()).hasUrls() and canvas_of(self) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        if (canvas := canvas_of(self)) is not None:
            canvas.dropEvent(event)  # called directly: Qt would send the event back to this widget


class Staying(Tabbed):
    """Content of a dock that stays, hidden, in its window when the dock is closed, until docked again."""

    closed = Signal()
    """Its dock was closed."""
    reopened = Signal()
    """It is shown in a dock again, or for the first time."""

    def __init__(self) -> None:
        super().__init__()
        # A weak reference, so that a reference to the content does not keep a closed window alive.
        self._home: Callable[[], QMainWindow | None] = lambda: None

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        window = self.window()
        if isinstance(window, QMainWindow):
            self._home = ref(window)
            self.reopened.emit()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if (
            event is not None
            and event.type() == QEvent.Type.ParentChange
            and self.parentWidget() is None
        ):
            QTimer.singleShot(0, self._wait)  # napari must first finish closing the dock

    def _wait(self) -> None:
        with suppress(RuntimeError):  # Qt has destroyed the window or this widget
            home = self._home()
            if self.parentWidget() is None and home is not None:
                self.hide()
                self.setParent(home)
                self.closed.emit()


def docked(viewer: Any) -> list[QWidget]:
    """Contents of all docks in a viewer's window."""
    return list(viewer.window.dock_widgets.values())


def dock_of(widget: QWidget) -> QDockWidget | None:
    """The dock that a widget lies in; None if it lies in none."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


def canvas_of(widget: QWidget) -> QWidget | None:
    """The widget in the middle of the main window that accepts dropped files; None without one.

    Also found from a widget in a floating dock.
    """
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QMainWindow):
        parent = parent.parentWidget()
    middle = None if parent is None else parent.centralWidget()
    inside = [] if middle is None else middle.findChildren(QWidget)
    return next((child for child in inside if child.acceptDrops()), None)


def retitle(widget: QWidget, title: str) -> None:
    """Sets the title on the tab of a widget's dock; napari's own title also names the plugin."""
    if (dock := dock_of(widget)) is not None:
        dock.setWindowTitle(title)


def share_the_place(widget: QWidget, other: QWidget) -> None:
    """Makes a widget's dock a tab beside another's: one below the other, neither would be tall enough."""
    own, there, window = dock_of(widget), dock_of(other), widget.window()
    if own is None or there is None or not isinstance(window, QMainWindow):
        return
    if not (own.isFloating() or there.isFloating()):
        window.tabifyDockWidget(there, own)
        own.raise_()
