"""Moves of the viewer's camera."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Layer

LEAST_ON_SCREEN, ENOUGH_ON_SCREEN = 12, 24
"""Screen pixels: a nucleus that appears smaller than the first is zoomed to the second."""
LEAST_EXTENT = 8.0
"""Least extent in pixels: around small nuclei and missed points the surroundings must be seen, too."""
FILLED = 0.85
"""Share of the window that a rectangle takes when it fills it."""


def bring_into_view(
    viewer: ViewerModel, layer: Layer, position: tuple[float, ...], extent: float
) -> None:
    """Centres the view on a position of a layer, and zooms in if the object there is too small.

    ``extent``: the object's side in the layer's pixels; NaN if there is no object.
    """
    world = layer.data_to_world(position)
    camera = viewer.scene.camera
    camera.center = (0.0, *world[-2:])
    size = float(np.fmax(extent, LEAST_EXTENT) * layer.scale[-1])
    if size * camera.zoom < LEAST_ON_SCREEN:
        camera.zoom = ENOUGH_ON_SCREEN / size


def fill_view(viewer: ViewerModel, corners: npt.NDArray[np.float64]) -> None:
    """Centres the view on a rectangle, and zooms so that it fills the window.

    ``corners``: world (y, x) of two opposite corners, float64 (2, 2).
    """
    camera = viewer.scene.camera
    camera.center = (0.0, *corners.mean(0))
    camera.zoom = float(FILLED * np.min(np.array(viewer.canvas.size) / np.ptp(corners, axis=0)))
