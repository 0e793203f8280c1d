"""A region of a real image, the part of it that sampling needs, and how much around it is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.box import Box
from napari_cosynth.types import Layout

CONTEXT = 48
"""Pixels of the real image, on the checkpoint's grid, that are shown around the region."""
SMALLEST_WINDOW = 256
"""Pixels a side: a small region sees more of the stain and the tissue that it has to continue."""
SAME_GRID = 0.02
"""A scanner's 0.499 µm/px is the checkpoint's 0.5: within this share nothing is resampled."""


@dataclass(frozen=True)
class Place:
    """A region of a real image, and the part of that image which is at hand."""

    image: npt.NDArray[np.uint8]
    """RGB, uint8 (H, W, 3): the region and what surrounds it (:func:`part_to_read`)."""
    region: Box
    """In pixels of ``image``."""
    origin: tuple[int, int] = (0, 0)
    """(y, x) of ``image`` in the whole image."""
    source: str = ""
    """The whole image's name."""
    before: Layout | None = None
    """The nuclei that ``image`` shows as it is, on its canvas and at its µm/px: then only what is around
    points that differ from these is new. None: all of the region is."""

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


def working_mpp(mpp: float, grid_mpp: float) -> float:
    """The µm/px that an image is taken to have: the checkpoint's where it nearly is that."""
    return grid_mpp if abs(mpp / grid_mpp - 1) <= SAME_GRID else mpp


def part_to_read(region: Box, shape: tuple[int, int], mpp: float, grid_mpp: float) -> Box:
    """The part of an image (H, W) at ``mpp`` that a checkpoint of ``grid_mpp`` looks at."""
    margin = math.ceil((SMALLEST_WINDOW // 2 + CONTEXT) * grid_mpp / mpp)
    return region.grown(margin).clipped(shape)


def on_grid(region: Box, old: tuple[int, int], new: tuple[int, int]) -> Box:
    """The whole pixels that hold a region once its canvas of ``old`` (H, W) has become ``new``."""
    y, x = (n / o for n, o in zip(new, old, strict=True))
    return Box(
        math.floor(region.y0 * y),
        math.floor(region.x0 * x),
        math.ceil(region.y1 * y),
        math.ceil(region.x1 * x),
    ).clipped(new)
