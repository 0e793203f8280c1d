"""Places: a region of a real image and its surroundings, and the part of the image to read for them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.draw import polygon2mask

from napari_cosynth.geometry.box import Box
from napari_cosynth.types import Layout

CONTEXT = 48
"""Pixels of the real image around the region, on the checkpoint's grid, that the network sees."""
SMALLEST_WINDOW = 256
"""Smallest side of the window in pixels: around a small region the network sees more of the stain and
tissue that it has to continue."""
SAME_GRID = 0.02
"""Relative difference in µm/px that counts as none: a scanner's 0.499 is the checkpoint's 0.5."""


@dataclass(frozen=True)
class Place:
    """A region of a real image, with the part of the image around it."""

    image: npt.NDArray[np.uint8]
    """RGB, uint8 (H, W, 3): the region and its surroundings (:func:`part_to_read`)."""
    region: Box
    """The region, in pixels of ``image``."""
    origin: tuple[int, int] = (0, 0)
    """(y, x) of ``image`` in the whole image, in pixels."""
    source: str = ""
    """The whole image's name."""
    before: Layout | None = None
    """The nuclei that ``image`` shows now, on its canvas and at its µm/px; only the surroundings of
    points that differ from these are painted anew. None: the whole region is painted anew."""
    outline: npt.NDArray[np.float64] | None = None
    """(N, 2), (y, x) of a polygon's corners in pixels of ``image``: outside it the region stays, too.
    None: all of the region is meant."""

    def __post_init__(self) -> None:
        image, box = np.asarray(self.image), self.region
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"{self.source}: image: expected uint8 (H, W, 3), got {image.dtype} {image.shape}"
            )
        if box.clipped((image.shape[0], image.shape[1])) != box or min(box.shape) < 1:
            raise ValueError(
                f"{self.source}: region: expected a part of {image.shape[0]} x {image.shape[1]} "
                f"pixels, got rows {box.y0} to {box.y1} and columns {box.x0} to {box.x1}"
            )
        if self.before is not None and self.before.shape != image.shape[:2]:
            raise ValueError(
                f"{self.source}: before: expected a canvas of {image.shape[:2]}, got "
                f"{self.before.shape}"
            )

        if self.outline is not None and (
            self.outline.ndim != 2 or self.outline.shape[1] != 2 or len(self.outline) < 3
        ):
            raise ValueError(
                f"{self.source}: outline: expected (N, 2) corners, got {self.outline.shape}"
            )


def working_mpp(mpp: float, grid_mpp: float) -> float:
    """The µm/px to use for an image: ``grid_mpp`` where ``mpp`` is within ``SAME_GRID`` of it."""
    return grid_mpp if abs(mpp / grid_mpp - 1) <= SAME_GRID else mpp


def part_to_read(region: Box, shape: tuple[int, int], mpp: float, grid_mpp: float) -> Box:
    """The part of an image (H, W) at ``mpp`` that inpainting the region at ``grid_mpp`` needs."""
    margin = math.ceil((SMALLEST_WINDOW // 2 + CONTEXT) * grid_mpp / mpp)
    return region.grown(margin).clipped(shape)


def inside_outline(
    outline: npt.NDArray[np.float64], old: tuple[int, int], new: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Which pixels of a canvas lie in a polygon whose corners were given on a canvas of ``old`` (H, W).

    bool of ``new`` (H, W), the same canvas on another grid.
    """
    scale = np.array(new) / np.array(old)
    return np.asarray(polygon2mask(new, (outline + 0.5) * scale - 0.5), bool)


def on_grid(region: Box, old: tuple[int, int], new: tuple[int, int]) -> Box:
    """The smallest box that holds a region after its canvas is resized from ``old`` to ``new`` (H, W)."""
    y, x = (n / o for n, o in zip(new, old, strict=True))
    return Box(
        math.floor(region.y0 * y),
        math.floor(region.x0 * x),
        math.ceil(region.y1 * y),
        math.ceil(region.x1 * x),
    ).clipped(new)
