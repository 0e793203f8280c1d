"""Requests into the image under a layout: the whole canvas, or only around the points that changed.

A layout whose points were taken from the image remembers them. Comparing them with the current points
shows which ones the user added, moved, re-tagged or removed. Elsewhere the image stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points

from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import changed_points
from napari_cosynth.synthesis.place import Place, on_grid, part_to_read, working_mpp
from napari_cosynth.types import Layout, Request
from napari_cosynth.widget.layers.layout import class_table_of, outline_of, placement_from
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layers.region import AskMpp, image_under, known_mpp

SHOWN_KEY = "cosynth_shown"
"""Key in a layout layer's metadata: the nuclei of the image under it, and their canvas."""

_MOVED = 0.5
"""Least move of a changed point in pixels, as for :func:`~napari_cosynth.geometry.edits.near_changes`."""


def remember_shown(points: Points, layout: Layout) -> None:
    """Stores that ``layout``, which the layer shows, is the nuclei in the image under it."""
    points.metadata[SHOWN_KEY] = layout, placement_from(points)


def shown_nuclei(points: Points) -> Layout | None:
    """The remembered layout; None without one, or if the canvas or the classes have changed since."""
    layout, canvas = points.metadata.get(SHOWN_KEY, (None, None))
    known = layout is not None and canvas == placement_from(points)
    return layout if known and layout.classes == class_table_of(points) else None


@dataclass(frozen=True)
class IntoImage:
    """A request into a real image, ready to run."""

    request: Request
    """The request; its layout is on the part of the image that is read."""
    placement: Placement
    """Placement of the result, exactly on the image's pixels."""
    read: Callable[[], Place]
    """Function that reads the part of the image; may take long, so not for the GUI thread."""


def into_image(
    viewer: ViewerModel,
    points: Points,
    request: Request,
    grid_mpp: float,
    ask_mpp: AskMpp,
    whole: bool = False,
) -> IntoImage | None:
    """The ``request`` for the layout ``points``, into the topmost image under its canvas.

    If the layout remembers the image's nuclei, only the surroundings of changed points are painted; with
    ``whole`` the whole canvas is. If the layout covers a polygon, only its inside is painted. The canvas
    is moved to whole pixels of the image. None if the user does not enter the image's µm/px. Raises
    ValueError if there is no 8-bit RGB image, the canvas reaches beyond it, or no point changed.
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
    # The grids are aligned by their pixels' corners: first corner of the canvas, then its size in
    # image pixels.
    first = np.array([slide.world_to_data(c)[-2:] for c in corners])[0]
    y, x = (int(v) for v in np.floor(first + 1))
    height, width = (max(1, round(n * pixels)) for n in canvas.shape)
    region = Box(y, x, y + height, x + width)
    if region.clipped(shape) != region:
        raise ValueError(f"{slide.name}: the canvas reaches beyond the image: move or shrink it")
    part = part_to_read(region, shape, mpp, grid_mpp)
    inside = region.moved(-part.y0, -part.x0)

    def moved(at: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Pixels of the canvas -> pixels of the part."""
        there = (at.astype(np.float64) + 0.5) * pixels - 0.5
        return np.asarray(there + np.array([inside.y0, inside.x0]))

    def on_part(layout: Layout) -> Layout:
        centroids = moved(layout.centroids).astype(np.float32)
        return Layout(centroids, layout.class_ids, part.shape, mpp, layout.classes)

    own, shown = on_part(request.layout), None if whole else shown_nuclei(points)
    if shown is not None and not len(changed_points(shown, request.layout, _MOVED)):
        raise ValueError(
            f"{points.name}: every nucleus is in the image as it is: add, move or remove one, or "
            "choose to paint the whole canvas (Sampling)"
        )
    before = None if shown is None else on_part(shown)
    polygon = outline_of(points)
    outline = None if polygon is None else moved(polygon)
    grid = replace(own, mpp=working_mpp(mpp, grid_mpp)).scaled_to(grid_mpp)
    box = on_grid(inside, own.shape, grid.shape)
    scale = float(slide.scale[-1]) * part.shape[1] / grid.shape[1]
    corner = slide.data_to_world((part.y0 - 0.5, part.x0 - 0.5))
    origin = (corner[0] + (box.y0 + 0.5) * scale, corner[1] + (box.x0 + 0.5) * scale)
    unit = str(slide.units[-1])

    def read() -> Place:
        image = np.ascontiguousarray(level[part.slices][..., :3])
        return Place(image, inside, (part.y0, part.x0), slide.name, before, outline)

    return IntoImage(
        replace(request, layout=own, seeds=request.seeds[:1]),
        Placement(box.shape, grid_mpp, scale, (float(origin[0]), float(origin[1])), unit),
        read,
    )


def _level(slide: Layer) -> Any:
    """The image's finest level. Raises ValueError if it is no 8-bit RGB image."""
    level = slide.data[0] if slide.multiscale else slide.data
    if not isinstance(slide, Image) or not slide.rgb or level.ndim != 3 or level.dtype != np.uint8:
        raise ValueError(f"{slide.name}: expected an 8-bit RGB image to sample into")
    return level
