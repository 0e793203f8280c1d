"""Instance maps -> connected instances numbered 1..N, their classes and centroids."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.measure import label as connected

from napari_cosynth.types import ClassTable, Layout

SMALLEST_FRAGMENT = 6
"""Fewest pixels of a cut nucleus' fragment; smaller ones become background (method, section 1)."""


def relabel(
    instances: npt.NDArray[np.integer], smallest: int = SMALLEST_FRAGMENT
) -> npt.NDArray[np.int32]:
    """Each 8-connected part of an instance as one instance, int32 (H, W), ids 1..N in scan order.

    A border or a coarser grid can cut a nucleus in two. Each part then needs a point of its own, or
    the model would learn to paint nuclei that no point asks for. Parts of fewer than ``smallest``
    pixels become background.
    """
    parts = connected(np.asarray(instances), background=0, connectivity=2)
    areas = np.bincount(parts.ravel())
    keep = areas >= smallest
    keep[0] = False
    ids = np.zeros(areas.size, np.int32)
    ids[keep] = np.arange(1, int(keep.sum()) + 1)
    return ids[parts]


def parted(instances: npt.NDArray[np.integer], parts: npt.NDArray[np.int32] | None = None) -> int:
    """The number of instances in several parts; ``parts`` is ``relabel(instances, 1)`` if known."""
    parts = relabel(instances, 1) if parts is None else parts
    owner = np.zeros(int(parts.max(initial=0)) + 1, np.int64)
    owner[parts.ravel()] = np.asarray(instances).ravel()
    _, count = np.unique(owner[1:], return_counts=True)
    return int((count > 1).sum())


def majority_classes(
    instances: npt.NDArray[np.int32], labels: npt.NDArray[np.uint8], classes: int
) -> npt.NDArray[np.uint8]:
    """The most frequent class above 0 in each instance 1..N, uint8 (N,); 0 if it has none."""
    count = int(instances.max(initial=0))
    inside = instances > 0
    flat = instances[inside].astype(np.int64) * classes + labels[inside]
    votes = np.bincount(flat, minlength=(count + 1) * classes).reshape(count + 1, classes)
    votes[:, 0] = 0
    winners = votes.argmax(1).astype(np.uint8)
    winners[votes.sum(1) == 0] = 0
    return winners[1:]


def snapped_centroids(instances: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """The centroid of each instance 1..N, float32 (N, 2), moved into it if it falls outside.

    The centroid of a concave nucleus can lie on another instance or the background. The nearest pixel
    of its own instance then replaces it, so that no nucleus vanishes from the point map and no two share
    a pixel.
    """
    count = int(instances.max(initial=0))
    y, x = np.nonzero(instances)
    ids = instances[y, x] - 1
    area = np.bincount(ids, minlength=count)
    centroids = np.stack(
        [np.bincount(ids, v, minlength=count) / np.maximum(area, 1) for v in (y, x)], 1
    ).astype(np.float32)
    pixel = np.floor(centroids.astype(np.float64) + 0.5).astype(np.int64)
    outside = instances[pixel[:, 0], pixel[:, 1]] != np.arange(1, count + 1)
    for row in np.flatnonzero(outside & (area > 0)):
        own = np.flatnonzero(ids == row)
        away = (y[own] - centroids[row, 0]) ** 2 + (x[own] - centroids[row, 1]) ** 2
        nearest = own[away.argmin()]
        centroids[row] = y[nearest], x[nearest]
    return centroids


def layout_of(
    instances: npt.NDArray[np.int32],
    class_ids: npt.NDArray[np.uint8],
    mpp: float,
    classes: ClassTable,
) -> Layout:
    """The layout whose row ``i`` is the centroid and class of instance ``i + 1``."""
    height, width = instances.shape
    return Layout(snapped_centroids(instances), class_ids, (height, width), mpp, classes)
