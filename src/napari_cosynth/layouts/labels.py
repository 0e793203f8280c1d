"""Points of a label image: one per object, at its centroid."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.measure import snapped_centroids


def label_centroids(
    labels: npt.NDArray[np.integer[Any]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The labels above 0 of an image (H, W), and their centroids.

    Returns the labels in ascending order, int64 (N,), and (y, x) in pixels, float32 (N, 2), each
    moved into its object where it would fall outside. A label in several parts is one object.
    """
    found, where = np.unique(labels, return_inverse=True)
    objects = found > 0
    number = np.where(objects, np.cumsum(objects), 0).astype(np.int32)
    return found[objects].astype(np.int64), snapped_centroids(number[where].reshape(labels.shape))
