"""Strokes of a brush that adds points to a layout, and the points that an eraser covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cosynth.layouts.drawn.spacing import admitted

Points: TypeAlias = npt.NDArray[np.float64]
"""float64 (N, 2), (y, x) in pixels."""

ATTEMPTS = 30
"""Random places tried for each point that is due."""
MOST_DUE = 4.0
"""Most points that found no room and are carried over to the next piece of a stroke."""
MOST_SPARE = 2.0
"""Most surplus points that are carried over; more would leave a gap behind every dense spot."""


@dataclass(frozen=True)
class Brush:
    """A round brush that fills the area it sweeps with nuclei of one class."""

    width: float
    """Diameter in pixels."""
    spacing: float
    """Mean spacing in pixels: one nucleus per ``spacing ** 2`` of swept area."""
    least: float
    """Least distance in pixels to any other nucleus (the hard core).

    Random points at least ``d`` apart cannot be denser than 0.70 / d^2 (random sequential adsorption of
    discs jams at a coverage of 0.547; Feder 1980). So the mean spacing is reached where it is at least
    1.2 times the least distance; below that the brush packs as densely as it can.
    """

    def __post_init__(self) -> None:
        for name in ("width", "spacing", "least"):
            value = getattr(self, name)
            lowest = 0.0 if name == "least" else np.finfo(float).tiny
            if not (np.isfinite(value) and value >= lowest):
                raise ValueError(f"brush: {name}: expected pixels above 0, got {value}")


class Stroke:
    """One stroke of a brush over a canvas that may already hold points.

    Each pixel counts once, however often the stroke passes it. Existing nuclei of the brush's class count
    as painted, so a second stroke over the same place adds next to nothing. The density does not depend
    on the number of pieces that the mouse cuts a stroke into.
    """

    def __init__(
        self,
        brush: Brush,
        shape: tuple[int, int],
        points: npt.NDArray[np.floating],
        own: npt.NDArray[np.bool_],
        seed: int,
    ) -> None:
        """``points`` (N, 2): all points of the layout; ``own`` (N,): True for the brush's class."""
        self.brush = brush
        self.shape = shape
        self._points: Points = np.asarray(points, np.float64).reshape(-1, 2)
        self._own = np.asarray(own, bool)
        self._painted: Points = np.zeros((0, 2))
        self._swept = np.zeros(shape, bool)
        self._due = 0.0
        self._at: npt.NDArray[np.float64] | None = None
        self._rng = np.random.default_rng(seed)

    def extend(self, position: tuple[float, float]) -> Points:
        """Moves the brush to (y, x) in pixels; returns the new points on the canvas, float64 (K, 2)."""
        end = np.array(position, np.float64)
        start = end if self._at is None else self._at
        self._at = end
        fresh = self._sweep(start, end)
        if not len(fresh):
            return np.zeros((0, 2))
        low, high = fresh.min(0), fresh.max(0)
        near, own = self._near(low - 0.5, high + 0.5)
        self._due += len(fresh) / self.brush.spacing**2 - self._count_on(
            fresh, low, high, near[own]
        )
        self._due = max(self._due, -MOST_SPARE)
        placed = self._throw(fresh, near, int(max(0.0, self._due)))
        self._due = min(self._due - len(placed), MOST_DUE)
        self._painted = np.concatenate([self._painted, placed])
        return placed

    def _sweep(
        self, start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int64]:
        """Pixels (P, 2) between two positions that the brush covers for the first time."""
        radius = self.brush.width / 2
        low = np.maximum(np.ceil(np.minimum(start, end) - radius), 0).astype(np.int64)
        high = np.floor(np.maximum(start, end) + radius).astype(np.int64) + 1
        high = np.minimum(high, self.shape)
        if (high <= low).any():
            return np.zeros((0, 2), np.int64)
        pixels = np.moveaxis(np.mgrid[low[0] : high[0], low[1] : high[1]], 0, -1)
        part = self._swept[low[0] : high[0], low[1] : high[1]]
        fresh = covered(pixels.reshape(-1, 2), start, end, radius).reshape(part.shape) & ~part
        part |= fresh
        return np.asarray(pixels[fresh], np.int64)

    def _near(
        self, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
    ) -> tuple[Points, npt.NDArray[np.bool_]]:
        """The points within ``least`` of a box, (N, 2), and True for those of the brush's class, (N,)."""
        found, reach = [], self.brush.least
        for points in (self._points, self._painted):
            inside = (points[:, 0] >= low[0] - reach) & (points[:, 0] <= high[0] + reach)
            found.append(
                inside & (points[:, 1] >= low[1] - reach) & (points[:, 1] <= high[1] + reach)
            )
        near = np.concatenate([self._points[found[0]], self._painted[found[1]]])
        return near, np.concatenate([self._own[found[0]], np.ones(found[1].sum(), bool)])

    @staticmethod
    def _count_on(
        fresh: npt.NDArray[np.int64],
        low: npt.NDArray[np.int64],
        high: npt.NDArray[np.int64],
        points: Points,
    ) -> int:
        """Number of points on the fresh pixels, which span ``low`` to ``high``."""
        mask = np.zeros(high - low + 1, bool)
        mask[tuple((fresh - low).T)] = True
        at = np.floor(points + 0.5).astype(np.int64)
        at = at[((at >= low) & (at <= high)).all(1)] - low
        return int(mask[tuple(at.T)].sum())

    def _throw(self, fresh: npt.NDArray[np.int64], near: Points, count: int) -> Points:
        """Up to ``count`` random points on the fresh pixels, with the least distance to all others."""
        if not count:
            return np.zeros((0, 2))
        chosen = fresh[self._rng.integers(len(fresh), size=count * ATTEMPTS)]
        darts = chosen + self._rng.uniform(-0.5, 0.5, chosen.shape)
        return darts[admitted(darts, near, self.brush.least, count)]


def covered(
    points: npt.NDArray[np.number],
    start: npt.ArrayLike,
    end: npt.ArrayLike,
    radius: float,
) -> npt.NDArray[np.bool_]:
    """True for points (N, 2) within ``radius`` of the segment from ``start`` to ``end``."""
    first = np.asarray(start, np.float64)
    along = np.asarray(end, np.float64) - first
    away = np.asarray(points, np.float64) - first
    length = float(along @ along)
    if length > 0:
        away = away - np.clip(away @ along / length, 0, 1)[:, None] * along
    return np.asarray((away**2).sum(1) <= radius**2)
