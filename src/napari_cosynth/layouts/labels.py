"""Points of a label image: one per object, at its centroid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.measure import snapped_centroids
from napari_cosynth.layouts.nuclei import Nuclei
from napari_cosynth.tiff import DamagedTiffError, read_tiff


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


def read_labels(path: str | Path) -> Nuclei:
    """The objects of a label image, TIFF, PNG or ``.npy``, without classes.

    Raises ValueError naming the file where it is no image (H, W) of whole numbers from 0.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        if path.suffix.lower() == ".npy":
            data = np.load(path, mmap_mode="r", allow_pickle=False)
        elif path.suffix.lower() in (".tif", ".tiff"):
            data = read_tiff(path)
        else:
            from skimage.io import imread

            data = np.asarray(imread(path))
    except DamagedTiffError:
        raise
    except Exception as error:  # decoders raise what they like on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: cannot be read as an image ({reason})") from None
    if data.ndim != 2 or data.dtype.kind not in "ui" or data.min(initial=0) < 0:
        raise ValueError(f"{path}: expected labels (H, W) from 0, got {data.dtype} {data.shape}")
    _, centroids = label_centroids(np.asarray(data))
    shape = (data.shape[0], data.shape[1])
    names = ("",) * len(centroids)
    return Nuclei(centroids.astype(np.float64), names, str(path), shape=shape)
