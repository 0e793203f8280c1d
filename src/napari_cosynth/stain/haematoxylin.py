"""Haematoxylin in an image, and the nuclei of a sample that are too pale or too small."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.color import rgb2hed

from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.types import Record, Report

_INK = 1.25
"""Largest ratio of the optical densities of red and green; above it a pixel is blue ink (0.93 by
Ruifrok)."""
AROUND = 2.0
"""Width in µm of the surroundings with which an instance's haematoxylin is compared."""
BAND = 512
"""Rows that are processed at once."""
SMALL = 0.5
"""A nucleus is small below this share of its class' usual area."""


def haematoxylin(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Optical density of haematoxylin, float32 (H, W), 0 where there is none or there is ink.

    The inks of surgical margins look like the strongest haematoxylin. They are told apart because blue
    ink absorbs red far more than green, and black ink absorbs blue as much as the others.
    """
    density = -np.log10((image.astype(np.float32) + 1) / 256)
    stain = rgb2hed(image)[..., 0].clip(0)
    stain[is_ink(density[..., 0], density[..., 1], density[..., 2])] = 0
    return np.asarray(stain, np.float32)


def ink_share(image: npt.NDArray[np.uint8]) -> float:
    """Share of the pixels of an image, uint8 (H, W, 3), that are ink."""
    density = -np.log10((image.astype(np.float32) + 1) / 256)
    return float(is_ink(density[..., 0], density[..., 1], density[..., 2]).mean())


def is_ink(red: Any, green: Any, blue: Any) -> Any:
    """Where there is ink, by optical densities (log10), arrays or tensors of one shape: booleans.

    H&E absorbs blue least, so that a pixel which absorbs all three much and alike is black ink.
    """
    of_blue = (red > _INK * green) & (red > 0.2)
    of_black = (
        (blue > 0.9 * red) & (blue > 0.85 * green) & (red > 0.5) & (green > 0.5) & (blue > 0.5)
    )
    return of_blue | of_black


def judged(report: Report, record: Record, areas: Mapping[str, float]) -> Report:
    """The report with :attr:`Report.pale` and :attr:`Report.small` filled in from a record's pixels.

    An instance is pale if its mean haematoxylin is not above that of its surroundings. A background
    pixel belongs to the surroundings of its nearest instance. ``areas`` are the usual areas in µm² by
    class name; instances of other classes are never small. Nor are instances that touch the record's
    rim, which may cut them.
    """
    instances = record.instances
    count = int(instances.max(initial=0)) + 1
    inside, around = _means(record, count)
    pale = np.flatnonzero(inside <= around)  # False for NaN, which means no surroundings
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
    # In bands, because the stain of a whole slide would not fit into memory beside its sample.
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
    sums[:, 0] = pixels[:, 0] = 0  # id 0 collects pixels of bands without instances
    inside, around = np.divide(sums, pixels, out=np.full_like(sums, np.nan), where=pixels > 0)
    return inside, around
