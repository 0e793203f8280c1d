"""What is seen of a layout's canvas: a line around it, and its size in µm at the window's edge."""

from __future__ import annotations

from napari.components import ViewerModel
from napari.components.overlays import SelectionBoxOverlay
from napari.layers import Points

from napari_cosynth.widget.layers.layout import placement_from
from napari_cosynth.widget.layers.placement import Placement

FRAME = "cosynth canvas"
WORDS = "canvas "


def show_frame(layer: Points) -> None:
    """Draws the canvas' outline; it goes where the layer goes, and hides with it."""
    canvas = placement_from(layer)
    low, high = canvas.corners[0], canvas.corners[2]
    box = SelectionBoxOverlay(
        bounds=((low[0], low[1]), (high[0], high[1])), handles=False, visible=True
    )
    # napari has no other place for what belongs to a layer and is no data of it.
    getattr(layer, "__wrapped__", layer)._overlays[FRAME] = box


def show_size(viewer: ViewerModel, layer: Points | None) -> None:
    """Writes the size of a layout's canvas in the window, or of none; other words there are left."""
    overlay = viewer.canvas.overlays.text
    if overlay.text and not overlay.text.startswith(WORDS):
        return
    overlay.text = "" if layer is None else WORDS + size_of(placement_from(layer))
    overlay.position = "bottom_left"
    overlay.visible = layer is not None


def size_of(canvas: Placement) -> str:
    """Height and width in words."""
    height, width = canvas.shape
    um = " × ".join(f"{side * canvas.mpp:.4g}" for side in canvas.shape)
    return f"{um} µm ({height} × {width} pixels at {canvas.mpp:.4g} µm/px)"
