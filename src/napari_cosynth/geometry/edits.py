"""What changed between two layouts of one canvas, as a box of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_cosynth.types import Layout


@dataclass(frozen=True)
class Box:
    """Pixels ``y0 <= y < y1``, ``x0 <= x < x1``."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array (H, W, ...) with."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grown(self, pixels: int) -> Box:
        """Larger by so much on every side."""
        return Box(self.y0 - pixels, self.x0 - pixels, self.y1 + pixels, self.x1 + pixels)

    def moved(self, y: int, x: int) -> Box:
        """So many pixels down and to the right."""
        return Box(self.y0 + y, self.x0 + x, self.y1 + y, self.x1 + x)

    def clipped(self, shape: tuple[int, int]) -> Box:
        """Its part on a canvas of this (H, W)."""
        return Box(max(0, self.y0), max(0, self.x0), min(shape[0], self.y1), min(shape[1], self.x1))

    def at_least(self, side: int) -> Box:
        """Grown about its centre until no side is shorter."""
        y, x = (max(0, side - n) for n in self.shape)
        return Box(self.y0 - y // 2, self.x0 - x // 2, self.y1 + y - y // 2, self.x1 + x - x // 2)

    def aligned(self, multiple: int) -> Box:
        """The smallest box around it whose sides lie on multiples."""
        return Box(
            self.y0 // multiple * multiple,
            self.x0 // multiple * multiple,
            -(-self.y1 // multiple) * multiple,
            -(-self.x1 // multiple) * multiple,
        )

    def moved_into(self, shape: tuple[int, int]) -> Box:
        """Moved, and where it is larger clipped, to lie on a canvas of this (H, W)."""
        y = min(max(0, self.y0), max(0, shape[0] - self.shape[0]))
        x = min(max(0, self.x0), max(0, shape[1] - self.shape[1]))
        return Box(y, x, min(shape[0], y + self.shape[0]), min(shape[1], x + self.shape[1]))


def cut(layout: Layout, box: Box) -> Layout:
    """The points whose pixels lie in a box of the canvas, on a canvas of that box alone."""
    low, high = np.array([box.y0, box.x0]) - 0.5, np.array([box.y1, box.x1]) - 0.5
    inside = ((layout.centroids >= low) & (layout.centroids < high)).all(1)
    centroids = layout.centroids[inside] - np.array([box.y0, box.x0], np.float32)
    return Layout(centroids, layout.class_ids[inside], box.shape, layout.mpp, layout.classes)


def changed_box(before: Layout, after: Layout) -> Box | None:
    """The smallest box around every point that only one of two layouts has; None if there is none.

    A moved or re-tagged point counts at its old and its new place. The order of points is no change.
    """
    one, other = (
        {
            (float(y), float(x), int(c))
            for (y, x), c in zip(layout.centroids, layout.class_ids, strict=True)
        }
        for layout in (before, after)
    )
    different = one ^ other
    if not different:
        return None
    pixels = np.floor(np.array([p[:2] for p in different]) + 0.5).astype(int)
    (y0, x0), (y1, x1) = pixels.min(0), pixels.max(0) + 1
    return Box(int(y0), int(x0), int(y1), int(x1))


def same_layout(first: Layout, second: Layout) -> bool:
    """The same points in the same order, which instance ids follow, on the same canvas."""
    return (
        first.shape == second.shape
        and first.mpp == second.mpp
        and first.classes == second.classes
        and np.array_equal(first.centroids, second.centroids)
        and np.array_equal(first.class_ids, second.class_ids)
    )
