"""Where the viewer looks."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer

LEAST_ON_SCREEN, ENOUGH_ON_SCREEN = 12, 24
"""Screen pixels: a nucleus smaller than the first is brought to the second."""
LEAST_EXTENT = 8.0
"""Pixels: of what is smaller, or missed, the surroundings must be seen too."""


def bring_into_view(
    viewer: ViewerModel, layer: Layer, position: tuple[float, ...], extent: float
) -> None:
    """Puts a layer's position in the middle, and enlarges it where it could hardly be seen.

    ``extent``: the side of what is there, in the layer's pixels; NaN where nothing is.
    """
    world = layer.data_to_world(position)
    camera = viewer.scene.camera
    camera.center = (0.0, *world[-2:])
    size = float(np.fmax(extent, LEAST_EXTENT) * layer.scale[-1])
    if size * camera.zoom < LEAST_ON_SCREEN:
        camera.zoom = ENOUGH_ON_SCREEN / size
