"""Instances -> distance map, the target by which touching nuclei are separated (paper 3.4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


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
