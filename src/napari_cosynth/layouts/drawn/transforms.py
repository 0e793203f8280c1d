"""Points mirrored, turned, scaled and jittered about the middle of their bounding box."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Points: TypeAlias = npt.NDArray[np.float64]
"""float64 (N, 2), (y, x) in pixels."""


def middle(points: npt.NDArray[np.floating]) -> Points:
    """The middle of the bounding box of at least one point, float64 (2,)."""
    places = np.asarray(points, np.float64)
    return np.asarray((places.min(0) + places.max(0)) / 2, np.float64)


def mirrored(points: npt.NDArray[np.floating], axis: int) -> Points:
    """The points mirrored left to right (``axis`` 1) or top to bottom (0); the bounding box stays."""
    places = np.array(points, np.float64)
    places[:, axis] = 2 * middle(places)[axis] - places[:, axis]
    return places


def rotated(points: npt.NDArray[np.floating], degrees: float) -> Points:
    """The points turned clockwise as seen on the screen, where y points down."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = middle(points)
    return np.asarray((np.asarray(points, np.float64) - centre) @ turn.T + centre, np.float64)


def scaled(points: npt.NDArray[np.floating], factor: float) -> Points:
    """The points ``factor`` times as far from the middle. Raises ValueError unless it is above 0."""
    if not (np.isfinite(factor) and factor > 0):
        raise ValueError(f"scale: expected a factor above 0, got {factor}")
    centre = middle(points)
    return np.asarray((np.asarray(points, np.float64) - centre) * factor + centre, np.float64)


def jittered(points: npt.NDArray[np.floating], spread: float, seed: int) -> Points:
    """The points, each moved by a Gaussian of ``spread`` pixels in y and x; a seed repeats the result."""
    places = np.asarray(points, np.float64)
    rng = np.random.default_rng(seed)
    return np.asarray(places + rng.normal(0, spread, places.shape), np.float64)
