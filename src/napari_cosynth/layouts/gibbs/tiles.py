"""Annotated tiles as point patterns: nuclei with classes in a rectangle, in µm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cosynth.layouts.gibbs.statistics import micrometres
from napari_cosynth.types import Layout

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BORDER = 4.0
"""Width in µm of the rim that is cut off a tile; nuclei cut by the border have no true centroid there."""


@dataclass(frozen=True)
class Tile:
    """A point pattern in a rectangle; lengths in µm, classes 0-based."""

    points: Floats
    """(N, 2), (y, x) from the rectangle's corner."""
    classes: Ints
    """(N,)."""
    extent: Floats
    """(height, width)."""

    @classmethod
    def of(cls, layout: Layout, border: float = BORDER) -> Tile:
        """The nuclei of a layout that are at least ``border`` µm from its edge.

        Raises ValueError where the canvas is too small.
        """
        points, extent = micrometres(layout)
        keep = ((points >= border) & (points < extent - border)).all(1)
        if (extent <= 2 * border).any():
            raise ValueError(f"a canvas of {extent[0]:g} x {extent[1]:g} µm is too small to fit to")
        classes = layout.class_ids.astype(np.int64)[keep] - 1
        return cls(points[keep] - border, classes, extent - 2 * border)

    @property
    def area(self) -> float:
        """Area in µm²."""
        return float(self.extent.prod())

    def counts(self, number: int) -> Ints:
        """Nuclei of each of ``number`` classes, int64 (number,)."""
        return np.bincount(self.classes, minlength=number)

    def of_class(self, number: int) -> Floats:
        """The points of one class, (N, 2)."""
        return np.asarray(self.points[self.classes == number])
