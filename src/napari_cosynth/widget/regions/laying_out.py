"""Layouts for several regions at once: empty, with the nuclei in the slide, or drawn by a model."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image, Points

from napari_cosynth.known import layout_models
from napari_cosynth.layouts.gibbs.model import load_layout_model
from napari_cosynth.layouts.sources.detect import detect_nuclei
from napari_cosynth.synthesis.place import inside_outline
from napari_cosynth.types import ClassTable, Layout
from napari_cosynth.widget.layers.layout import is_layout, placement_from
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layers.region import AskMpp, region_placement, slide_pixels
from napari_cosynth.widget.layers.shapes import Region
from napari_cosynth.widget.run.sampling_controls import LARGEST_DRAWN

EMPTY, FOUND, DRAWN = "no points", "as the slide shows", "drawn by "
"""Sources of the points; a layout model's name follows the last one."""


def sources() -> list[str]:
    """The sources that can be chosen."""
    return [FOUND, *(DRAWN + name for name in layout_models()), EMPTY]


@dataclass(frozen=True)
class Laid:
    """A region with its canvas, and its layout once :func:`lay_out` was called."""

    region: Region
    slide: Image
    placement: Placement
    layout: Layout | None = None


def placed(
    viewer: ViewerModel, regions: Sequence[Region], mpp: float, ask_mpp: AskMpp
) -> list[Laid]:
    """The regions with their canvases at ``mpp``; empty if the user does not enter the slide's µm/px.

    Raises ValueError if a region has no image under it or is too large.
    """
    found = []
    for region in regions:
        place = region_placement(viewer, region, mpp, ask_mpp)
        if place is None:
            return []
        slide, placement = place
        assert isinstance(slide, Image)  # image_under finds only images
        found.append(Laid(region, slide, placement))
    return found


def lay_out(
    laid: Sequence[Laid], source: str, classes: ClassTable, name: str
) -> Callable[[], list[Laid]]:
    """A function that makes the layouts, in any thread; ``name``: the class of detected nuclei."""
    pixels = [slide_pixels(one.slide, one.placement) if source == FOUND else None for one in laid]

    nowhere, no_ids = np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)

    def work() -> list[Laid]:
        made = []
        for one, read in zip(laid, pixels, strict=True):
            shape, mpp = one.placement.shape, one.placement.mpp
            layout = Layout(nowhere, no_ids, shape, mpp, classes)
            if read is not None:
                points = detect_nuclei(read(), mpp)
                points = points[one.placement.inside(points)]
                ids = np.full(len(points), classes.index(name), np.uint8)
                layout = _inside(one, Layout(points, ids, shape, mpp, classes))
            elif source.startswith(DRAWN):
                model = load_layout_model(source.removeprefix(DRAWN))
                seed = random.randint(0, LARGEST_DRAWN)
                layout = model.sample(shape, seed, mpp, region=_mask(one), existing=layout)
            made.append(dataclasses.replace(one, layout=layout))
        return made

    return work


def _mask(one: Laid) -> npt.NDArray[np.bool_]:
    """Mask of the canvas' pixels that lie in the region, bool (H, W)."""
    shape = one.placement.shape
    if one.region.upright:
        return np.ones(shape, bool)
    return inside_outline(one.region.outline_on(one.placement), shape, shape)


def _inside(one: Laid, layout: Layout) -> Layout:
    """The layout with only the points that lie in the region."""
    at = np.floor(layout.centroids + 0.5).astype(np.int64).clip(0, np.array(layout.shape) - 1)
    kept = _mask(one)[at[:, 0], at[:, 1]]
    return dataclasses.replace(
        layout, centroids=layout.centroids[kept], class_ids=layout.class_ids[kept]
    )


def layout_of(viewer: ViewerModel, region: Region) -> Points | None:
    """The newest layout with a region's name that lies on its bounding box; None if there is none."""
    for layer in reversed(viewer.layers):
        if not is_layout(layer) or layer.name.split(" [")[0] != region.name:
            continue
        canvas = placement_from(layer)
        low, high = region.outline_on(canvas).min(0), region.outline_on(canvas).max(0)
        close = 1.5  # pixels: the canvas is rounded to whole ones
        if (abs(low + 0.5) < close).all() and (abs(high + 0.5 - canvas.shape) < close).all():
            return layer
    return None
