"""Records and images at another pixel size, over the same field."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.transform import resize, resize_local_mean

from napari_cosynth.geometry.votes import majority
from napari_cosynth.records.base import remade
from napari_cosynth.types import Record


def resample(record: Record, mpp: float) -> Record:
    """A record at another pixel size, ``mpp`` in µm/px.

    A coarser image takes area means, which show the texture of a coarser scan; a finer one is
    interpolated linearly. A pixel takes the instance that covers most of it, so nuclei stay where the
    image shows them.
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
    """Image (H, W, 3), instances and labels (H, W) resampled to ``shape``; instances keep their class."""
    ids, first = np.unique(instances, return_index=True)
    classes = labels.ravel()[first]
    # Not by majority of the labels themselves, which could change an instance's class.
    grown = majority(instances, shape).astype(np.int32, copy=False)
    return resized(image, shape), grown, classes[np.searchsorted(ids, grown)]


def resized(image: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """An image, uint8 (H, W, 3), resampled to ``shape``: area means if it shrinks, else linear."""
    if shape == image.shape[:2]:
        return image
    if shape[0] < image.shape[0]:
        made = resize_local_mean(image, shape, channel_axis=2, preserve_range=True)
    else:
        made = resize(image, (*shape, 3), order=1, preserve_range=True)
    return np.asarray(made.round().clip(0, 255).astype(np.uint8))


def enlarged(mask: npt.NDArray[np.bool_], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """A mask on another grid of the same image: each pixel is what its centre lies in."""
    y, x = (
        np.minimum(((np.arange(n) + 0.5) * o / n).astype(np.int64), o - 1)
        for n, o in zip(shape, mask.shape, strict=True)
    )
    return np.asarray(mask[np.ix_(y, x)])
