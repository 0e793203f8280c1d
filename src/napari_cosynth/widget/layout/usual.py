"""Usual spacing of a class' nuclei: from the layout if it has enough of them, else from their size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

ENOUGH = 20
"""Number of points from which their median distance to the next one tells the spacing."""
APART, NEAREST, TOUCHING = 1.3, 0.8, 0.45
"""Multiples of a nucleus' diameter: mean spacing, least distance of painted nuclei, and the distance
below which nuclei are too near. By the bundled layout model one nucleus in thirty has a neighbour that
near."""
SPACING, LEAST, CLOSE = 5.0, 4.0, 2.0
"""The same in µm, for classes of unknown size."""


def diameter(area: float) -> float:
    """Diameter of a disc of this area."""
    return float(2 * np.sqrt(area / np.pi))


def usual_sizes(points: npt.NDArray[np.float64], area: float | None) -> tuple[float, float]:
    """Mean spacing and least distance in µm, rounded to half a µm.

    ``points`` (N, 2) are the class' points in µm; ``area`` is the usual area of its nuclei in µm², None
    if unknown.
    """
    size = diameter(area) if area else None
    if len(points) >= ENOUGH:
        apart = float(np.median(KDTree(points).query(points, 2)[0][:, 1]))
        spacing = max(apart, NEAREST * size) if size else apart
        return _half(spacing), _half(NEAREST * spacing / APART)
    if size is None:
        return SPACING, LEAST
    return _half(APART * size), _half(NEAREST * size)


def close(areas: Mapping[str, float]) -> float:
    """Distance in µm below which two nuclei are too near, from the classes' usual areas in µm²."""
    if not areas:
        return CLOSE
    return _half(TOUCHING * diameter(float(np.median(list(areas.values())))))


def _half(value: float) -> float:
    return max(1.0, round(2 * value) / 2)
