"""Area, eccentricity and solidity of nuclei, and the distance between two sets of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import wasserstein_distance
from skimage.measure import regionprops_table

from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.types import Record

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Nuclei:
    """The nuclei of a record, or of several, one row each."""

    ids: npt.NDArray[np.int64]
    """Ids in the instance map, (M,), rising within a record."""
    class_ids: npt.NDArray[np.int64]
    """Majority class of the semantic labels, (M,), 1..K-1."""
    centroids: Floats
    """Centroids (y, x) in pixels, (M, 2)."""
    area: Floats
    """Areas in µm², (M,)."""
    eccentricity: Floats
    """Eccentricity of the ellipse with the nucleus' second moments, (M,), in [0, 1]."""
    solidity: Floats
    """Area over the area of the convex hull, (M,), in (0, 1]; NaN if not measured."""

    def __len__(self) -> int:
        return len(self.ids)


def measure_nuclei(record: Record, hulls: bool = True) -> Nuclei:
    """The measurements of every instance of a record, equal to scikit-image's ``regionprops``.

    Without ``hulls`` solidity is not measured; it takes many times as long as all the rest. Areas,
    centroids and moments are summed for all instances at once, because ``regionprops`` goes one by one
    and takes many times as long.
    """
    y, x = np.nonzero(record.instances)
    ids, rows = np.unique(record.instances[y, x], return_inverse=True)
    pixels = np.bincount(rows, minlength=len(ids)).astype(np.float64)

    def mean(values: npt.NDArray[np.generic]) -> Floats:
        return np.bincount(rows, values, len(ids)) / pixels

    centroids = np.stack([mean(y), mean(x)], 1)
    dy, dx = y - centroids[rows, 0], x - centroids[rows, 1]
    yy, xx, xy = mean(dy * dy), mean(dx * dx), mean(dy * dx)
    half, root = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    longest = half + root
    # A single pixel has no axes and counts as round, as in regionprops.
    ratio = np.divide(half - root, longest, out=np.ones_like(half), where=longest > 0)
    solidity = np.full(len(ids), np.nan)
    if hulls:
        solidity[:] = regionprops_table(record.instances, properties=("solidity",))["solidity"]
    classes = majority_classes(record.instances, record.labels, len(record.classes))
    return Nuclei(
        ids=ids.astype(np.int64),
        class_ids=classes[ids - 1].astype(np.int64),
        centroids=centroids,
        area=pixels * record.mpp**2,
        eccentricity=np.sqrt(np.clip(1 - ratio, 0, 1)),
        solidity=solidity,
    )


def class_medians(nuclei: Sequence[Nuclei], classes: int) -> Floats:
    """The median area of each class in µm², float64 (K,); NaN for 0 and for a class without nuclei."""
    ids = np.concatenate([n.class_ids for n in nuclei])
    areas = np.concatenate([n.area for n in nuclei])
    medians = np.full(classes, np.nan)
    for k in range(1, classes):
        if (ids == k).any():
            medians[k] = np.median(areas[ids == k])
    return medians


def wasserstein(a: Floats, b: Floats) -> float:
    """The 1-Wasserstein distance of two samples, in their unit; NaN if one is empty."""
    return float(wasserstein_distance(a, b)) if len(a) and len(b) else float("nan")
