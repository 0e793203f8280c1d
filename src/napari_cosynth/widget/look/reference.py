"""The reference of stain matching: the pixels of a slide under the chosen rectangle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image

from napari_cosynth.widget.layers.placement import require_plain
from napari_cosynth.widget.layers.region import rectangle
from napari_cosynth.widget.layers.shapes import factor_between
from napari_cosynth.widget.layers.tags import read_tag

MOST_SIDE = 4096
"""Longest side of the reference in pixels; a larger rectangle is read from a coarser level, or with a
stride."""


def region_pixels(
    viewer: ViewerModel,
) -> tuple[str, Callable[[], npt.NDArray[np.uint8]]]:
    """The reference in words, and a function that reads its pixels, uint8 (H, W, 3), in any thread.

    The rectangle is the selected one of the active Shapes layer, or else the last one drawn. The image is
    the topmost visible RGB image under it, results excluded. Raises ValueError if either is missing.
    """
    shapes, corners = rectangle(viewer)
    for layer in reversed(viewer.layers):
        if not (isinstance(layer, Image) and layer.visible and layer.rgb and layer.ndim == 2):
            continue
        if read_tag(layer.metadata) is not None:
            continue
        own = corners * factor_between(shapes, layer)
        world = layer.extent.world[:, -2:]
        if (own[1] <= world[0]).any() or (own[0] >= world[1]).any():
            continue
        require_plain(layer)
        levels = list(layer.data) if layer.multiscale else [layer.data]
        low, high = pixels_inside(layer, own)
        words = f"{layer.name} [{low[0]}:{high[0]}, {low[1]}:{high[1]}]"
        return words, partial(_read, levels, low, high, layer.name)
    raise ValueError("no RGB image under the rectangle: open a slide, and draw one over it")


def pixels_inside(
    layer: Image, corners: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and last + 1 pixel of a layer between two corners in the world, int64 (2,) each.

    Pixel centres are at integers. A pixel is inside if its centre is.
    """
    first = layer.data[0] if layer.multiscale else layer.data
    edges = (corners - np.asarray(layer.translate)[-2:]) / np.asarray(layer.scale)[-2:]
    low = np.ceil(edges[0]).clip(0, first.shape[:2]).astype(int)
    high = (np.floor(edges[1]) + 1).clip(0, first.shape[:2]).astype(int)
    return low, high


def _read(
    levels: list[npt.NDArray[np.uint8]],
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
    name: str,
) -> npt.NDArray[np.uint8]:
    for level in levels:
        factor = np.array(level.shape[:2]) / np.array(levels[0].shape[:2])
        first, last = np.floor(low * factor).astype(int), np.ceil(high * factor).astype(int)
        if (last - first).max() <= MOST_SIDE or level is levels[-1]:
            break
    step = max(1, -(-int((last - first).max(initial=1)) // MOST_SIDE))
    part = level[first[0] : last[0] : step, first[1] : last[1] : step, :3]
    pixels = np.asarray(part)
    if pixels.dtype != np.uint8:
        raise ValueError(f"{name}: expected an 8-bit image as reference, got {pixels.dtype}")
    return np.ascontiguousarray(pixels)
