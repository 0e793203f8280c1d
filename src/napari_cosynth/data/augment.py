"""Random crops, flips, quarter turns and stain jitter, of image and annotation together."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from napari_cosynth.data.base import crop, make_record
from napari_cosynth.data.stain import jitter_stain
from napari_cosynth.types import Record


def random_crop(record: Record, size: int, rng: np.random.Generator, stride: int = 1) -> Record:
    """A ``size`` x ``size`` patch; the record must be at least that large.

    Its corner lies on a grid of ``stride`` pixels, or where the last patch of a row or column that
    the grid does not fill ends at the border.
    """
    height, width = record.labels.shape
    if min(height, width) < size:
        raise ValueError(
            f"{record.source}: {height} x {width} pixels at {record.mpp} µm/px is smaller than the "
            f"patch of {size}"
        )
    y, x = (
        min(stride * int(rng.integers(-(-(n - size) // stride) + 1)), n - size)
        for n in (height, width)
    )
    return crop(record, y, x, size, size)


def turn(record: Record, quarter_turns: int, flip: bool) -> Record:
    """The record turned counter-clockwise and then mirrored left to right."""

    def move(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        turned = np.rot90(array, quarter_turns)
        return np.ascontiguousarray(turned[:, ::-1] if flip else turned)

    return make_record(
        move(record.image),  # type: ignore[arg-type]
        move(record.instances),  # type: ignore[arg-type]
        move(record.labels),  # type: ignore[arg-type]
        record.classes,
        record.mpp,
        record.tissue,
        record.source,
        record.stain,
    )


def augment(
    record: Record,
    size: int,
    rng: np.random.Generator,
    stain_strength: float = 0.0,
    stride: int = 1,
) -> Record:
    """A random patch in one of the eight orientations, its stain jittered by ``stain_strength``."""
    patch = random_crop(record, size, rng, stride)
    patch = turn(patch, int(rng.integers(4)), bool(rng.integers(2)))
    if stain_strength > 0:
        patch = dataclasses.replace(patch, image=jitter_stain(patch.image, stain_strength, rng))
    return patch
