"""The docks beside ``CoSynth``: they work with it, and share its place as tabs."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from qtpy.QtWidgets import QWidget

from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.docks.preferences import PLUGIN
from napari_cosynth.widget.qt.staying import Tabbed, docked

PANEL, LAYOUT, GALLERY = "CoSynth", "CoSynth layout", "CoSynth gallery"
"""As the manifest names them."""


def panel_of(viewer: Any) -> CoSynthPanel:
    """The viewer's CoSynth panel; opened where it is not there yet, or was closed.

    A viewer has one: closed and opened again it is the same, so whoever works with it need not ask again.
    """
    for widget in docked(viewer):
        if isinstance(widget, CoSynthPanel):
            return widget
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, PANEL)
    assert isinstance(panel, CoSynthPanel)
    return panel


class Companion(Tabbed):
    """A dock that needs the CoSynth dock, and is a tab beside it. npe2 passes the viewer."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.panel = panel_of(napari_viewer)

    def neighbour(self) -> QWidget:
        return self.panel
