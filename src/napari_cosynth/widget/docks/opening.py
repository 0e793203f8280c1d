"""What ``Plugins > CoSynth`` opens: the viewer's one CoSynth panel, made where there is none yet."""

from __future__ import annotations

from typing import Any, TypeVar

from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication, QWidget

from napari_cosynth.widget.docks.panel import CoSynthPanel
from napari_cosynth.widget.qt.staying import Staying, dock_of

T = TypeVar("T", bound=Staying)


class OpenedPanel(QWidget):
    """Makes the panel, or brings back the one that was closed: with its form, its run and its results.

    npe2 takes a class and passes it the viewer; what comes is a :class:`CoSynthPanel`.
    """

    def __new__(cls, napari_viewer: ViewerModel) -> CoSynthPanel:  # type: ignore[misc]
        return closed(CoSynthPanel, napari_viewer) or CoSynthPanel(napari_viewer)

    def __init__(self, napari_viewer: ViewerModel) -> None:
        """Never runs; napari reads from it that the viewer is wanted."""


def closed(kind: type[T], viewer: Any) -> T | None:
    """The viewer's content of a kind that waits without a dock."""
    for widget in QApplication.allWidgets():
        if isinstance(widget, kind) and dock_of(widget) is None:
            ours: Any = widget
            if _plain(ours.viewer) is _plain(viewer):
                return widget
    return None


def _plain(viewer: Any) -> Any:
    """Plugins get napari's viewer in a wrapper of their own."""
    return getattr(viewer, "__wrapped__", viewer)
