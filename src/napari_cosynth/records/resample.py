"""Records and images at another pixel size, their outline kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.transform import resize, resize_local_mean

from napari_cosynth.geometry.votes import majority
from napari_cosynth.records.base import remade
from napari_cosynth.types import Record


def resample(record: Record, mpp: float) -> Record:
    """A record at another pixel size: area mean of the image, and of its instances what covers most.

    Shrinking averages whole pixel areas, which keeps the texture that a coarser scan would show;
    growing interpolates linearly. Nuclei stay where the image shows them.
    """
    factor = record.mpp / mpp
    if abs(factor - 1) < 1e-6:
        return record
    height, width = (max(1, round(n * factor)) for n in record.labels.shape)
    arrays = resampled(record.image, record.instances, record.labels, (height, width))
    return remade(record, *arrays, mpp=mpp)


def resampled(
    image: npt.NDArray[np.uint8],
    instances: npt.NDArray[np.int32],
    labels: npt.NDArray[np.uint8],
    shape: tuple[int, int],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Image (H, W, 3), instances and labels (H, W) of another shape; each instance keeps its class."""
    ids, first = np.unique(instances, return_index=True)
    classes = labels.ravel()[first]
    # Not by votes of the labels' own, which could take an instance's class from it.
    grown = majority(instances, shape).astype(np.int32, copy=False)
    return resized(image, shape), grown, classes[np.searchsorted(ids, grown)]


def resized(image: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """An image (H, W, 3) of another shape, its outline kept: area means where it shrinks, else linear."""
    if shape == image.shape[:2]:
        return image
    if shape[0] < image.shape[0]:
        made = resize_local_mean(image, shape, channel_axis=2, preserve_range=True)
    else:
        made = resize(image, (*shape, 3), order=1, preserve_range=True)
    return np.asarray(made.round().clip(0, 255).astype(np.uint8))
