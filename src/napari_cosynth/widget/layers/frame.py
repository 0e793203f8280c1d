"""Rectangles drawn over layers, such as a canvas' outline; the text with the canvas' size in µm."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.components.overlays import SelectionBoxOverlay, TextOverlay
from napari.layers import Layer, Points

from napari_cosynth.widget.layers.layout import placement_from
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layers.tags import unwrapped

FRAME = "cosynth canvas"
WORDS = "canvas "


def show_frame(layer: Points) -> None:
    """Draws the canvas' outline; it moves and hides with the layer."""
    corners = placement_from(layer).corners
    show_box(layer, FRAME, corners[0], corners[2])


def show_box(
    layer: Layer, name: str, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> None:
    """Draws a rectangle between two corners (2,) in a layer's pixels; replaces one of the same name."""
    _overlays(layer)[name] = SelectionBoxOverlay(
        bounds=((low[0], low[1]), (high[0], high[1])), handles=False, visible=True
    )


def hide_box(layer: Layer, name: str) -> None:
    """Removes a rectangle of :func:`show_box`, if it is there."""
    _overlays(layer).pop(name, None)


def _overlays(layer: Layer) -> Any:
    """A layer's overlays; napari has no public place for what belongs to a layer beside its data."""
    return unwrapped(layer)._overlays


def show_size(viewer: ViewerModel, layer: Points | None) -> None:
    """Shows the size of a layout's canvas in the viewer; None clears it. Another text there stays."""
    overlay = viewer.canvas.overlays.text
    assert isinstance(overlay, TextOverlay)
    if overlay.text and not overlay.text.startswith(WORDS):
        return
    overlay.text = "" if layer is None else WORDS + size_of(placement_from(layer))
    overlay.position = "bottom_left"
    overlay.visible = layer is not None


def size_of(canvas: Placement) -> str:
    """Height and width in µm and the µm/px, as a short text: beside two docks there is little room."""
    um = " × ".join(f"{side * canvas.mpp:.4g}" for side in canvas.shape)
    return f"{um} µm at {canvas.mpp:.4g} µm/px"
