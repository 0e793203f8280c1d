"""Haematoxylin in an image, and the nuclei of a sample that do not look like nuclei: pale or small."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.color import rgb2hed

from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.types import Record, Report

_INK = 1.25
"""Optical density of red over that of green above which it is no haematoxylin (0.93 by Ruifrok)."""
AROUND = 2.0
"""µm around an instance with which its haematoxylin is compared."""
BAND = 512
"""Rows that are judged at once."""
SMALL = 0.5
"""Share of its class' usual area under which a nucleus is small."""


def haematoxylin(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Haematoxylin's optical density, float32 (H, W), 0 where there is none, and where ink is.

    Blue ink of surgical margins would pass for the strongest haematoxylin; but it absorbs red far more
    than green, and haematoxylin does not.
    """
    density = -np.log10((image[..., :2].astype(np.float32) + 1) / 256)
    ink = (density[..., 0] > _INK * density[..., 1]) & (density[..., 0] > 0.2)
    stain = rgb2hed(image)[..., 0].clip(0)
    stain[ink] = 0
    return np.asarray(stain, np.float32)


def judged(report: Report, record: Record, areas: Mapping[str, float]) -> Report:
    """A report with what the pixels say of a record's instances: :attr:`Report.pale`, and
    :attr:`Report.small` where ``areas``, µm² by class name, tells the usual area of a class.

    A background pixel is compared with the instance that it is nearest to. An instance that touches
    the record's rim may be cut by it, and is never small.
    """
    instances = record.instances
    count = int(instances.max(initial=0)) + 1
    inside, around = _means(record, count)
    pale = np.flatnonzero(inside <= around)  # NaN, of what has no surroundings, compares as False
    ids = majority_classes(instances, record.labels, len(record.classes))
    usual = np.array([areas.get(name, 0.0) / record.mpp**2 for name in record.classes.names])
    pixels = np.bincount(instances.ravel(), minlength=count)[1:]
    small = (pixels > 0) & (pixels < SMALL * usual[ids])
    rim = np.concatenate([instances[[0, -1]].ravel(), instances[:, [0, -1]].ravel()])
    small[rim[rim > 0] - 1] = False
    return dataclasses.replace(
        report, pale=tuple(pale.tolist()), small=tuple((np.flatnonzero(small) + 1).tolist())
    )


def _means(record: Record, count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean haematoxylin in each instance and around it, float64 (count,); NaN where there is none."""
    margin = max(1, math.ceil(AROUND / record.mpp))
    instances = record.instances
    height = len(instances)
    sums, pixels = np.zeros((2, count)), np.zeros((2, count))
    # In bands: a whole slide's stain would not fit into memory beside its sample.
    for top in range(0, height, BAND):
        first = max(0, top - margin)
        own = slice(top - first, min(height, top + BAND) - first)
        band = instances[first : top + BAND + margin]
        away, nearest = ndi.distance_transform_edt(band == 0, return_indices=True)
        owners = band[tuple(nearest)][own]
        stain = haematoxylin(record.image[first : top + BAND + margin][own])
        background = band[own] == 0
        for side, chosen in enumerate((~background, background & (away[own] <= margin))):
            sums[side] += np.bincount(owners[chosen], stain[chosen], minlength=count)
            pixels[side] += np.bincount(owners[chosen], minlength=count)
    sums[:, 0] = pixels[:, 0] = 0  # of a band without instances
    inside, around = np.divide(sums, pixels, out=np.full_like(sums, np.nan), where=pixels > 0)
    return inside, around
