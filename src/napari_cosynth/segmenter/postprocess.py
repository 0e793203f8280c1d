"""Instances and their classes from HoVer-Net's maps (Graham et al. 2019, section 2.2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.measure import label as connected
from skimage.segmentation import watershed

from napari_cosynth.geometry.measure import majority_classes

Floats = npt.NDArray[np.floating]

PUBLISHED_MPP = 0.25
"""µm/px at which the sizes below hold; they are scaled to the image's."""
SOBEL_REACH, SMALLEST = 6, 10
"""Half the side of the derivative's kernel in pixels; and the least area of a nucleus or marker in square
pixels. The published code has a half side of 10 and opens the markers by a disc of radius 2, which joins
small nuclei."""
INSIDE, BORDER = 0.5, 0.5
"""Thresholds h of the probability and k of the energy (published: 0.4)."""
OUTLIERS = 5
"""Percent of the slopes in nuclei that the energy's range leaves out at either end. The published code
takes the extremes of the whole image, where a single odd pixel can join nuclei everywhere."""


def sobel_kernels(side: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sobel's kernel of any odd size, as smoothing across and derivative along, float64 (side,) each.

    Smoothing has binomial weights. The derivative has those of one order less, convolved with (-1, 1).
    """
    smoothing, derivative = np.ones(1), np.array([-1.0, 1.0])
    for _ in range(side - 1):
        smoothing = np.convolve(smoothing, [1, 1])
    for _ in range(side - 2):
        derivative = np.convolve(derivative, [1, 1])
    # The sums grow as 2^side. The scale does not matter, since the maps are normalised afterwards.
    return smoothing / smoothing.sum(), derivative / smoothing.sum()


def border_energy(
    offsets: Floats, foreground: npt.NDArray[np.bool_], mpp: float
) -> npt.NDArray[np.float64]:
    """S_m, float64 (H, W) in [0, 1]: high where a horizontal or vertical map drops.

    ``offsets`` (2, H, W); ``foreground`` bool (H, W), not empty; the energy is 0 outside it. Within a
    nucleus both maps rise; from one nucleus to the next they fall from 1 to -1.
    """
    side = 2 * max(1, round(SOBEL_REACH * PUBLISHED_MPP / mpp)) + 1
    smoothing, derivative = sobel_kernels(side)
    drops = []
    for values, along in zip(offsets.astype(np.float64), (1, 0), strict=True):
        slope = ndi.correlate1d(values, derivative, along, mode="mirror")
        slope = ndi.correlate1d(slope, smoothing, 1 - along, mode="mirror")
        low, high = np.percentile(slope[foreground], [OUTLIERS, 100 - OUTLIERS])
        drops.append(np.clip((high - slope) / max(high - low, 1e-12), 0, 1))
    return np.where(foreground, np.maximum(*drops), 0)


def _without_small(mask: npt.NDArray[np.bool_], smallest: int) -> npt.NDArray[np.int32]:
    """The mask's connected parts of at least ``smallest`` pixels, numbered from 1, int32 (H, W)."""
    parts = connected(mask, connectivity=1)
    keep = np.bincount(parts.ravel()) >= smallest
    keep[0] = False
    numbers = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return np.asarray(numbers[parts], np.int32)


def nuclei_instances(probability: Floats, offsets: Floats, mpp: float) -> npt.NDArray[np.int32]:
    """Instances 1..N, int32 (H, W), of a foreground ``probability`` (H, W) and ``offsets`` (2, H, W).

    The markers are the foreground without the pixels of high energy; a watershed of the energy starts
    from them. A part of the foreground without a marker is a nucleus of its own; the published code drops
    it, and so loses small nuclei.
    """
    scale = PUBLISHED_MPP / mpp
    smallest = max(1, round(SMALLEST * scale**2))
    foreground = _without_small(probability >= INSIDE, smallest) > 0
    if not foreground.any():
        return np.zeros(probability.shape, np.int32)
    energy = border_energy(offsets, foreground, mpp)
    landscape = -ndi.gaussian_filter(np.where(foreground, 1 - energy, 0), 0.8, truncate=1.25)
    inner = ndi.binary_fill_holes(foreground & (energy < BORDER))
    markers = _without_small(inner, smallest)
    parts = connected(foreground, connectivity=1)
    marked = np.zeros(int(parts.max()) + 1, bool)
    marked[parts[markers > 0]] = True
    lonely = connected(foreground & ~marked[parts], connectivity=1)
    markers = np.where(lonely > 0, lonely + markers.max(), markers)
    return np.asarray(watershed(landscape, markers, mask=foreground), np.int32)


def typed_instances(
    probability: Floats, offsets: Floats, types: Floats, mpp: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Instances 1..N, int32 (H, W), and their classes uint8 (N,), by the majority of their pixels.

    ``types`` (K, H, W) are probabilities or logits. The background has no vote. An instance that is
    background at all its pixels takes the class with the largest sum of the others.
    """
    instances = nuclei_instances(probability, offsets, mpp)
    labels = types.argmax(0).astype(np.uint8)
    class_ids = majority_classes(instances, labels, len(types))
    for row in np.flatnonzero(class_ids == 0):
        class_ids[row] = 1 + types[1:, instances == row + 1].sum(1).argmax()
    return instances, class_ids
