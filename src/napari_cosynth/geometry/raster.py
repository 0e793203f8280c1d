"""Rasters of layouts and instances: point maps (paper 3.3) and distance maps (paper 3.4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cosynth.types import Layout


def pixels(layout: Layout) -> npt.NDArray[np.int64]:
    """The pixel of each point, int64 (N, 2), (y, x), by rounding half up.

    Raises ValueError naming both rows if two points share a pixel: the map could hold only one.
    """
    rounded = np.floor(layout.centroids.astype(np.float64) + 0.5).astype(np.int64)
    rounded = np.minimum(rounded, np.array(layout.shape) - 1)
    flat = rounded[:, 0] * layout.shape[1] + rounded[:, 1]
    order = np.argsort(flat, kind="stable")
    same = np.flatnonzero(np.diff(flat[order]) == 0)
    if same.size:
        first, second = sorted((int(order[same[0]]), int(order[same[0] + 1])))
        y, x = rounded[first]
        raise ValueError(
            f"points {first} and {second} share the pixel ({y}, {x}): move or remove one of them"
        )
    return rounded


def point_map(layout: Layout) -> npt.NDArray[np.uint8]:
    """The class id of each nucleus at its pixel, uint8 (H, W), 0 elsewhere."""
    canvas = np.zeros(layout.shape, np.uint8)
    where = pixels(layout)
    canvas[where[:, 0], where[:, 1]] = layout.class_ids
    return canvas


def marker_map(layout: Layout) -> npt.NDArray[np.int32]:
    """The layout row + 1 of each nucleus at its pixel, int32 (H, W), 0 elsewhere."""
    canvas = np.zeros(layout.shape, np.int32)
    where = pixels(layout)
    canvas[where[:, 0], where[:, 1]] = np.arange(1, len(layout) + 1)
    return canvas


def distance_map(instances: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Distance to the centroid, normalised per instance: float32 (H, W) in [0, 1].

    ``d(p) = 1 - |p - c| / (max over the instance of |p - c| + 1)`` with ``c`` the centroid; 0 outside.
    The map does not change under flips and quarter turns.
    """
    out = np.zeros(instances.shape, np.float32)
    y, x = np.nonzero(instances)
    if not y.size:
        return out
    ids = instances[y, x]
    if ids.max() > ids.size:  # sparse ids: tables up to the largest would waste memory
        _, ids = np.unique(ids, return_inverse=True)
    area = np.maximum(np.bincount(ids), 1)
    centre_y = np.bincount(ids, y) / area
    centre_x = np.bincount(ids, x) / area
    radius = np.hypot(y - centre_y[ids], x - centre_x[ids])
    largest = np.zeros(area.size)
    np.maximum.at(largest, ids, radius)
    out[y, x] = 1.0 - radius / (largest[ids] + 1.0)
    return out
