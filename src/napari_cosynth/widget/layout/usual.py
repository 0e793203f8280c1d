"""How far apart nuclei of a class lie: in the layout where it has enough of them, else by their size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

ENOUGH = 20
"""Points of a class whose median distance to the next one says how dense it is."""
APART, NEAREST, TOUCHING = 1.3, 0.8, 0.45
"""Times a nucleus' diameter: mean spacing, least distance of what is painted, and what no tissue has
more than a few of: by the bundled layout model one nucleus in thirty has a neighbour that near."""
SPACING, LEAST, CLOSE = 5.0, 4.0, 2.0
"""µm, where nothing is known of the class."""


def diameter(area: float) -> float:
    """Of a disc of this area."""
    return float(2 * np.sqrt(area / np.pi))


def usual_sizes(points: npt.NDArray[np.float64], area: float | None) -> tuple[float, float]:
    """Mean spacing and least distance in µm, to half a µm.

    ``points`` (N, 2) are those of the class in µm; ``area`` is its nuclei's usual one in µm².
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
    """The distance in µm below which two nuclei are too near, by the classes' usual areas in µm²."""
    if not areas:
        return CLOSE
    return _half(TOUCHING * diameter(float(np.median(list(areas.values())))))


def _half(value: float) -> float:
    return max(1.0, round(2 * value) / 2)
