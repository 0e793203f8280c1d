"""The docks beside ``CoSynth``: they work with it, and share its place as tabs."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.docks.preferences import PLUGIN
from napari_cosynth.widget.qt.staying import dock_of

PANEL, LAYOUT, GALLERY = "CoSynth", "CoSynth layout", "CoSynth gallery"
"""As the manifest names them."""


def panel_of(viewer: Any) -> CoSynthPanel:
    """The viewer's CoSynth panel; opened where it is not there yet, or was closed.

    A viewer has one: closed and opened again it is the same, so whoever works with it need not ask again.
    """
    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, CoSynthPanel):
            return widget
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, PANEL)
    assert isinstance(panel, CoSynthPanel)
    return panel


class Companion(QWidget):
    """A dock that needs the CoSynth dock. npe2 passes the viewer."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.panel = panel_of(napari_viewer)
        self._placed = False

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._placed:
            # After napari has placed it: under the other dock neither would be tall enough.
            self._placed = True
            QTimer.singleShot(0, self._share_the_place)

    def _share_the_place(self) -> None:
        own, other = dock_of(self), dock_of(self.panel)
        window = self.window()
        if own is None or other is None or not isinstance(window, QMainWindow):
            return
        if not (own.isFloating() or other.isFloating()):
            window.tabifyDockWidget(other, own)
            own.raise_()
