"""The entry ``Plugins > CoSynth``: opens the viewer's one CoSynth panel, or makes it."""

from __future__ import annotations

from typing import Any, TypeVar

from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication, QWidget

from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.layers.tags import unwrapped
from napari_cosynth.widget.qt.staying import Staying, dock_of

T = TypeVar("T", bound=Staying)


class OpenedPanel(QWidget):
    """Class whose call returns the viewer's :class:`CoSynthPanel`, a closed one with its form and run.

    It is a class because npe2 expects one, to which it passes the viewer.
    """

    def __new__(cls, napari_viewer: ViewerModel) -> CoSynthPanel:  # type: ignore[misc]
        return closed(CoSynthPanel, napari_viewer) or CoSynthPanel(napari_viewer)

    def __init__(self, napari_viewer: ViewerModel) -> None:
        """Never runs; its signature tells napari to pass the viewer."""


def closed(kind: type[T], viewer: Any) -> T | None:
    """The viewer's widget of this kind whose dock was closed; None if there is none."""
    for widget in QApplication.allWidgets():
        if isinstance(widget, kind) and dock_of(widget) is None:
            ours: Any = widget
            if unwrapped(ours.viewer) is unwrapped(viewer):
                return widget
    return None
