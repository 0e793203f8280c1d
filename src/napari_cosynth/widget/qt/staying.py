"""Contents of docks: with a title and a place of their own, open to files that are dropped on them, and
outliving napari's frame around them."""

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
    """A dock's content with a short title on its tab, and its first place beside another's.

    A file that is dropped on it opens as if it had been dropped on the viewer.
    """

    title = ""

    def __init__(self) -> None:
        super().__init__()
        self._placed = False
        self.setAcceptDrops(True)

    def neighbour(self) -> QWidget | None:
        """What it becomes a tab beside when it is first shown; None: it stays where it is put."""
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
            canvas.dropEvent(event)  # sent by Qt, it would come back to where the drag is: here


class Staying(Tabbed):
    """Closed, it stays in the window that it was shown in, hidden, until it is docked again."""

    closed = Signal()
    """It has no dock any more."""
    reopened = Signal()
    """It is shown in a dock."""

    def __init__(self) -> None:
        super().__init__()
        # Weak: who holds the content must not hold a window that is closed.
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
            QTimer.singleShot(0, self._wait)  # napari is not done with the frame

    def _wait(self) -> None:
        with suppress(RuntimeError):  # Qt has destroyed the window, or this
            home = self._home()
            if self.parentWidget() is None and home is not None:
                self.hide()
                self.setParent(home)
                self.closed.emit()


def docked(viewer: Any) -> list[QWidget]:
    """What lies in the docks of a viewer's window."""
    return list(viewer.window.dock_widgets.values())


def dock_of(widget: QWidget) -> QDockWidget | None:
    """The frame that a widget is docked in; None where it is not."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


def canvas_of(widget: QWidget) -> QWidget | None:
    """What files are dropped on in the middle of a widget's main window, also from a floating dock."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QMainWindow):
        parent = parent.parentWidget()
    middle = None if parent is None else parent.centralWidget()
    inside = [] if middle is None else middle.findChildren(QWidget)
    return next((child for child in inside if child.acceptDrops()), None)


def retitle(widget: QWidget, title: str) -> None:
    """What stands on the tab of a widget's dock; napari's own title names the plugin, too."""
    if (dock := dock_of(widget)) is not None:
        dock.setWindowTitle(title)


def share_the_place(widget: QWidget, other: QWidget) -> None:
    """Makes a widget's dock a tab beside another's: under it neither would be tall enough."""
    own, there, window = dock_of(widget), dock_of(other), widget.window()
    if own is None or there is None or not isinstance(window, QMainWindow):
        return
    if not (own.isFloating() or there.isFloating()):
        window.tabifyDockWidget(there, own)
        own.raise_()
