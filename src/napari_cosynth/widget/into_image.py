"""Into the image under a layout: its canvas' part of the slide sampled anew, the rest as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points

from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.place import Place, on_grid, part_to_read, working_mpp
from napari_cosynth.types import Layout, Request
from napari_cosynth.widget.layers import placement_from
from napari_cosynth.widget.placement import Placement
from napari_cosynth.widget.region import AskMpp, image_under, known_mpp


@dataclass(frozen=True)
class IntoImage:
    """A request into a real image, ready to run."""

    request: Request
    """Its layout is on the canvas of the image's part."""
    placement: Placement
    """Where the result lies: exactly on the image's pixels."""
    read: Callable[[], Place]
    """Reads the image's part, which may take a while: not for the GUI thread."""


def into_image(
    viewer: ViewerModel, points: Points, request: Request, grid_mpp: float, ask_mpp: AskMpp
) -> IntoImage | None:
    """``request`` of the layout ``points``, into the topmost image under its canvas.

    The canvas is moved to whole pixels of the image. None if the user does not tell the image's µm/px.
    Raises ValueError saying what is missing.
    """
    canvas = placement_from(points)
    corners = canvas.world
    slide = image_under(viewer, points, corners)
    level = _level(slide)
    mpp = known_mpp(slide, ask_mpp)
    if mpp is None:
        return None
    shape = (int(level.shape[0]), int(level.shape[1]))
    pixels = canvas.mpp / working_mpp(mpp, canvas.mpp)
    # Both grids by their pixels' corners: the canvas' first, and how many image pixels it has.
    first = np.array([slide.world_to_data(c)[-2:] for c in corners])[0]
    y, x = (int(v) for v in np.floor(first + 1))
    height, width = (max(1, round(n * pixels)) for n in canvas.shape)
    region = Box(y, x, y + height, x + width)
    if region.clipped(shape) != region:
        raise ValueError(f"{slide.name}: the canvas reaches beyond the image: move or shrink it")
    part = part_to_read(region, shape, mpp, grid_mpp)
    inside = region.moved(-part.y0, -part.x0)

    layout = request.layout
    centroids = (layout.centroids.astype(np.float64) + 0.5) * pixels - 0.5
    moved = centroids + np.array([inside.y0, inside.x0])
    own = Layout(moved.astype(np.float32), layout.class_ids, part.shape, mpp, layout.classes)

    grid = replace(own, mpp=working_mpp(mpp, grid_mpp)).scaled_to(grid_mpp)
    box = on_grid(inside, own.shape, grid.shape)
    scale = float(slide.scale[-1]) * part.shape[1] / grid.shape[1]
    corner = slide.data_to_world((part.y0 - 0.5, part.x0 - 0.5))
    origin = (corner[0] + (box.y0 + 0.5) * scale, corner[1] + (box.x0 + 0.5) * scale)
    unit = str(slide.units[-1])

    def read() -> Place:
        image = np.ascontiguousarray(level[part.slices][..., :3])
        return Place(image, inside, (part.y0, part.x0), slide.name)

    return IntoImage(
        replace(request, layout=own, seeds=request.seeds[:1]),
        Placement(box.shape, grid_mpp, scale, (float(origin[0]), float(origin[1])), unit),
        read,
    )


def _level(slide: Layer) -> Any:
    """The image's finest level. Raises ValueError where it is no 8-bit RGB image."""
    level = slide.data[0] if slide.multiscale else slide.data
    if not isinstance(slide, Image) or not slide.rgb or level.ndim != 3 or level.dtype != np.uint8:
        raise ValueError(f"{slide.name}: expected an 8-bit RGB image to sample into")
    return level
