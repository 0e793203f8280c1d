"""Points of a label image: one per object, at its centroid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.foreign.instances import instance_ids, read_label_image
from napari_cosynth.geometry.measure import parted, snapped_centroids
from napari_cosynth.layouts.sources.nuclei import Nuclei


def label_centroids(
    labels: npt.NDArray[np.integer[Any]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The labels above 0 of an image (H, W) in ascending order, int64 (N,), and their centroids.

    Centroids are (y, x) in pixels, float32 (N, 2); one that falls outside its object is moved into it. A
    label in several parts is one object.
    """
    found, where = np.unique(labels, return_inverse=True)
    objects = found > 0
    number = np.where(objects, np.cumsum(objects), 0).astype(np.int32)
    return found[objects].astype(np.int64), snapped_centroids(number[where].reshape(labels.shape))


def read_labels(path: str | Path) -> Nuclei:
    """The objects of a label image, TIFF, PNG or ``.npy``, without classes.

    Raises ValueError naming the file where it is no image (H, W) of whole numbers from 0.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    instances = instance_ids(read_label_image(path), str(path))
    _, centroids = label_centroids(instances)
    names = ("",) * len(centroids)
    return Nuclei(
        centroids.astype(np.float64),
        names,
        str(path),
        shape=(instances.shape[0], instances.shape[1]),
        notes=parted_note(instances),
    )


def parted_note(instances: npt.NDArray[np.int32]) -> tuple[str, ...]:
    """A note on objects in several parts that do not touch, where there are any."""
    count = parted(instances)
    return (f"{count:,} objects are in several parts, each of them one point",) if count else ()
