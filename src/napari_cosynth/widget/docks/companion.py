"""Base of the docks that work with the ``CoSynth`` dock and are tabs beside it."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from qtpy.QtWidgets import QWidget

from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.docks.preferences import PLUGIN
from napari_cosynth.widget.qt.staying import Tabbed, docked

PANEL, LAYOUT, GALLERY = "CoSynth", "CoSynth layout", "CoSynth gallery"
"""The docks' names in the manifest."""


def panel_of(viewer: Any) -> CoSynthPanel:
    """The viewer's CoSynth panel; opens it if it is not there yet or was closed.

    A viewer has one panel. It stays the same object when it is closed and opened again, so callers may
    keep it.
    """
    for widget in docked(viewer):
        if isinstance(widget, CoSynthPanel):
            return widget
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, PANEL)
    assert isinstance(panel, CoSynthPanel)
    return panel


class Companion(Tabbed):
    """Base of a dock that needs the CoSynth dock and is a tab beside it. npe2 passes the viewer."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.panel = panel_of(napari_viewer)

    def neighbour(self) -> QWidget:
        return self.panel
