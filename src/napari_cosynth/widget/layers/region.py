"""Canvases over a slide, from a shape of a Shapes layer or from the objects of a Labels layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes

from napari_cosynth.layouts.sources.labels import label_centroids
from napari_cosynth.slides.pyramid import read_region
from napari_cosynth.slides.slide import open_slide
from napari_cosynth.types import ClassTable, Layout
from napari_cosynth.widget.layers.layout import placement_from
from napari_cosynth.widget.layers.placement import (
    Placement,
    mpp_of,
    placed_on,
    placement_of,
    require_plain,
    world_scale,
)
from napari_cosynth.widget.layers.shapes import (
    Region,
    chosen_shape,
    factor_between,
    put_away,
    region_of,
)
from napari_cosynth.widget.layers.tags import KEY, read_tag

AskMpp = Callable[[str], float | None]
"""A layer's name -> its µm/px, or None if the user does not enter it."""


def region_placement(
    viewer: ViewerModel, region: Region, mpp: float, ask_mpp: AskMpp
) -> tuple[Layer, Placement] | None:
    """The topmost image under a region, and the canvas at ``mpp`` over the region's bounding box.

    None if the user does not enter the image's µm/px. Raises ValueError if there is no such image or the
    canvas is too large.
    """
    slide = image_under(viewer, region.layer, region.corners)
    slide_mpp = known_mpp(slide, ask_mpp)
    if slide_mpp is None:
        return None
    corners = region.corners * factor_between(region.layer, slide)
    try:
        return slide, placed_on(corners, slide, slide_mpp, mpp)
    except ValueError as error:
        raise ValueError(f"{region.name}: {error}") from None


def placement_in_view(viewer: ViewerModel, shape: tuple[int, int], mpp: float) -> Placement | None:
    """A canvas of (H, W) pixels at ``mpp`` in the middle of the view, over a slide.

    The slide is the topmost image at that point whose µm/px is known; None without one. If the slide is
    larger than the canvas, the canvas lies wholly on it.
    """
    middle = np.array(viewer.scene.camera.center[-2:], np.float64)
    for layer in reversed(viewer.layers):
        if not is_slide(layer) or layer.ndim != 2 or (own := mpp_of(layer)) is None:
            continue
        require_plain(layer)
        low, high = layer.extent.world
        if (middle < low).any() or (middle > high).any():
            continue
        side = np.array(shape) * world_scale(layer) * mpp / own
        first = np.maximum(np.minimum(middle - side / 2, high - side), low)
        return placed_on(np.array([first, first + side]), layer, own, mpp)
    return None


def image_region(
    viewer: ViewerModel, mpp: float, ask_mpp: AskMpp
) -> tuple[Image, Placement] | None:
    """The image and the canvas at ``mpp`` over the chosen rectangle, or over the whole image.

    Without a rectangle the image is the topmost visible one, results excluded. None if the user does not
    enter the µm/px. Raises ValueError if there is no image or the canvas would be too large.
    """
    if any(isinstance(x, Shapes) and x.nshapes for x in viewer.layers):
        shapes, corners = rectangle(viewer)
        slide = image_under(viewer, shapes, corners)
        corners = corners * factor_between(shapes, slide)
    else:
        images = [x for x in reversed(viewer.layers) if is_slide(x)]
        if not images:
            raise ValueError("no image: open a slide or a tile first")
        slide = images[0]
        require_plain(slide)
        half = np.asarray(slide.scale)[-2:] / 2
        corners = slide.extent.world[:, -2:] + np.array([-half, half])
    slide_mpp = known_mpp(slide, ask_mpp)
    if slide_mpp is None:
        return None
    try:
        return slide, placed_on(corners, slide, slide_mpp, mpp)
    except ValueError as error:
        raise ValueError(f"{slide.name}: {error}: draw a smaller rectangle") from None


def sampling_of(layer: Image, placement: Placement) -> tuple[tuple[float, float], float]:
    """A canvas in a layer's own pixels: (y, x) of the centre of its pixel (0, 0), and a pixel's side."""
    scale, shift = np.asarray(layer.scale)[-2:], np.asarray(layer.translate)[-2:]
    y, x = (np.array(placement.origin) - shift) / scale
    return (float(y), float(x)), placement.scale / world_scale(layer)


def slide_pixels(layer: Image, placement: Placement) -> Callable[[], npt.NDArray[np.uint8]]:
    """A function that reads the slide's pixels under a canvas, uint8 RGB (H, W, 3), in any thread.

    Raises ValueError if the layer is not an 8-bit image in two dimensions.
    """
    levels = list(layer.data) if layer.multiscale else [layer.data]
    if layer.ndim != 2 or levels[0].dtype != np.uint8:
        raise ValueError(f"{layer.name}: expected an 8-bit RGB or grey image in two dimensions")
    origin, step = sampling_of(layer, placement)
    return lambda: read_region(levels, origin, step, placement.shape)


def known_mpp(layer: Layer, ask_mpp: AskMpp) -> float | None:
    """A layer's µm/px: from the layer, else from its file, else from the user, who is asked once.

    None if the user does not answer. The value is kept in the layer's metadata; the file is never
    written.
    """
    mpp = mpp_of(layer)
    if mpp is None:
        mpp = _mpp_of_file(layer) or ask_mpp(layer.name)
        if mpp is not None:
            layer.metadata["mpp"] = mpp
    return mpp


def _mpp_of_file(layer: Layer) -> float | None:
    # open_slide reads only the header; open_image would decode a photo, which has no µm/px.
    path = layer.source.path
    if path is None or not Path(path).is_file():
        return None
    try:
        return open_slide(Path(path)).mpp
    except (ValueError, OSError):
        return None


def layout_of_labels(
    layer: Labels,
    classes: ClassTable,
    mpp: float,
    ask_mpp: AskMpp,
    ask_class: Callable[[list[str]], str | None],
) -> tuple[Layout, Placement] | None:
    """One point per object of a Labels layer, on a canvas at ``mpp`` over the layer.

    Classes come from the layer's features (``class``, by ``index``); without them ``ask_class``
    gives one for all. None if the user does not answer. Raises ValueError if the layer is not 2D or a
    class is unknown.
    """
    if layer.ndim != 2:
        raise ValueError(f"{layer.name}: expected a 2D Labels layer")
    own_mpp = known_mpp(layer, ask_mpp)
    if own_mpp is None:
        return None
    first = layer.data[0] if layer.multiscale else layer.data
    placement = placement_of(layer, (first.shape[0], first.shape[1]), own_mpp)
    data = np.asarray(first)
    labels, centroids = label_centroids(data)
    ids = _classes_from_features(layer, labels, classes)
    if ids is None:
        name = ask_class(list(classes.names[1:]))
        if name is None:
            return None
        ids = np.full(len(labels), classes.index(name), np.uint8)
    layout = Layout(centroids, ids, placement.shape, own_mpp, classes).scaled_to(mpp)
    return layout, placement.at_mpp(mpp, layout.shape)


def chosen_labels(viewer: ViewerModel) -> Labels:
    """The active Labels layer, or else the topmost, results excluded. Raises ValueError without one."""
    active = viewer.layers.selection.active
    if isinstance(active, Labels):
        return active
    for layer in reversed(viewer.layers):
        if isinstance(layer, Labels) and read_tag(layer.metadata) is None:
            return layer
    raise ValueError("no Labels layer: open one, or select it in the layer list")


def _classes_from_features(
    layer: Labels, labels: npt.NDArray[np.int64], classes: ClassTable
) -> npt.NDArray[np.uint8] | None:
    features = layer.features
    if "class" not in features or not len(features):
        return None
    index = features.get("index", features.index)
    table: dict[int, Any] = {int(i): c for i, c in zip(index, features["class"], strict=True)}
    ids = []
    for label in labels:
        name = table.get(int(label))
        if name not in classes.names[1:]:
            known = ", ".join(classes.names[1:])
            raise ValueError(
                f"{layer.name}: label {label}: unknown class {name!r}; known are: {known}"
            )
        ids.append(classes.names.index(str(name)))
    return np.array(ids, np.uint8)


def put_away_region(viewer: ViewerModel) -> None:
    """Hides the chosen shape, or its filling, once it has become a canvas; see :func:`put_away`."""
    if (found := chosen_shape(viewer)) is not None:
        put_away(*found)


def chosen_region(viewer: ViewerModel) -> Region:
    """The chosen rectangle or polygon. Raises ValueError if there is none."""
    if (found := chosen_shape(viewer)) is None:
        raise ValueError("no region: draw a rectangle in a Shapes layer over the slide")
    return region_of(*found)


def rectangle(viewer: ViewerModel) -> tuple[Shapes, npt.NDArray[np.float64]]:
    """The Shapes layer and the world corners (2, 2) of its chosen rectangle.

    Raises ValueError if no upright rectangle is chosen.
    """
    region = chosen_region(viewer)
    layer, row = region.layer, region.row
    if not region.upright:
        kind = layer.shape_type[row]
        raise ValueError(f"{layer.name}: expected an upright rectangle, got {kind} {row}")
    return layer, region.corners


def image_under(viewer: ViewerModel, source: Layer, corners: npt.NDArray[np.float64]) -> Image:
    """The topmost image under a region, results excluded.

    ``corners``: world (y, x) of the region's opposite corners, float64 (2, 2), in ``source``'s units.
    Raises ValueError if there is no image.
    """
    for layer in reversed(viewer.layers):
        if not is_slide(layer):
            continue
        extent = layer.extent.world[:, -2:]
        if layer.rgb and extent.shape[1] < 2:
            continue
        own = corners * factor_between(source, layer)
        if (own[1] > extent[0]).all() and (own[0] < extent[1]).all():
            require_plain(layer)
            return layer
    raise ValueError(f"no image under {source.name}: open a slide, and lay it over that")


def has_image_under(viewer: ViewerModel, points: Points) -> bool:
    """Whether a layout lies over an image."""
    try:
        image_under(viewer, points, placement_from(points).world)
    except ValueError:
        return False
    return True


def is_slide(layer: Layer) -> TypeGuard[Image]:
    """Whether a layer is a visible image and not a result, finished or not."""
    ours = read_tag(layer.metadata) is not None or layer.metadata.get(KEY, {}).get("unfinished")
    return isinstance(layer, Image) and layer.visible and not ours
