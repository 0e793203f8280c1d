"""CoNIC's arrays: ``images.npy``, ``labels.npy``, ``counts.csv`` (docs/formats/conic.md)."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cosynth.export.base import Item, exporting, sixteen_bits
from napari_cosynth.export.npy import GrowingNpy
from napari_cosynth.types import Record

MARGIN = 16
"""Pixels on each side that ``counts.csv`` leaves out: the centre of 256 x 256 is 224 x 224."""


def write_conic(items: Iterable[Item], path: Path, overwrite: bool = False) -> Path:
    """Writes records of one shape as CoNIC's training data.

    ``images.npy`` is uint8 (N, H, W, 3). ``labels.npy`` is uint16 (N, H, W, 2), instance id and class.
    ``counts.csv`` has a row per patch and a column per class; it counts nuclei with a pixel inside the
    patch's centre, which is the patch without its outer 16 pixels. ``patch_info.csv`` has the samples'
    names. Raises ValueError if an id is above 65535.
    """
    with (
        exporting(items, path, "conic", overwrite, one_shape=True) as (folder, samples),
        GrowingNpy(folder / "images.npy", np.uint8) as images,
        GrowingNpy(folder / "labels.npy", np.uint16) as labels,
        (folder / "counts.csv").open("w", newline="", encoding="utf-8") as counts_file,
        (folder / "patch_info.csv").open("w", newline="", encoding="utf-8") as info_file,
    ):
        counts, info = csv.writer(counts_file), csv.writer(info_file)
        info.writerow(["patch_info"])
        for sample in samples:
            record = sample.record
            if sample.index == 0:
                counts.writerow(record.classes.names[1:])
            ids = sixteen_bits(record, f"{path}: {sample.name}")
            images.append(record.image)
            labels.append(np.stack([ids, record.labels], -1))
            counts.writerow(central_counts(record).tolist())
            info.writerow([sample.name])
    return Path(path)


def central_counts(record: Record) -> npt.NDArray[np.int64]:
    """Nuclei of each class 1..K-1 that reach into the centre of a patch, int64 (K - 1,)."""
    centre = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    pairs = np.stack([record.instances[centre], record.labels[centre]], -1).reshape(-1, 2)
    nuclei = np.unique(pairs[pairs[:, 0] > 0], axis=0)
    return np.bincount(nuclei[:, 1], minlength=len(record.classes))[1:]
