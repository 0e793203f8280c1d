"""Random crops, flips, quarter turns, stain and scale jitter of image and annotation together."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_cosynth.records.base import crop, remade
from napari_cosynth.records.resample import resampled
from napari_cosynth.stain.jitter import jitter_stain
from napari_cosynth.types import Record

Pixel = TypeVar("Pixel", bound=np.generic)


def random_crop(
    record: Record,
    size: int,
    rng: np.random.Generator,
    stride: int = 1,
    around: npt.ArrayLike | None = None,
) -> Record:
    """A random patch of ``size`` x ``size`` pixels. Raises ValueError if the record is smaller.

    Its corner lies on a grid of ``stride`` pixels. If the grid does not fill a row or column, the last
    patch there ends at the border. A patch drawn ``around`` a point (y, x) lies anywhere that contains
    the point, without a grid.
    """
    y, x = _corner(record, size, rng, stride, around)
    return crop(record, y, x, size, size)


def _corner(
    record: Record,
    size: int,
    rng: np.random.Generator,
    stride: int,
    around: npt.ArrayLike | None,
) -> tuple[int, int]:
    _check_size(record, size)
    height, width = record.labels.shape
    if around is None:
        y, x = (
            min(stride * int(rng.integers(-(-(n - size) // stride) + 1)), n - size)
            for n in (height, width)
        )
    else:
        inside = np.floor(np.asarray(around) + 0.5).astype(int).tolist()
        y, x = (
            int(rng.integers(max(0, p - size + 1), min(p, n - size) + 1))
            for p, n in zip(inside, (height, width), strict=True)
        )
    return y, x


def _check_size(record: Record, size: int) -> None:
    height, width = record.labels.shape
    if min(height, width) < size:
        raise ValueError(
            f"{record.source}: {height} x {width} pixels at {record.mpp} µm/px is smaller than the "
            f"patch of {size}"
        )


def turn(record: Record, quarter_turns: int, flip: bool) -> Record:
    """The record turned counter-clockwise and then, with ``flip``, mirrored left to right."""

    return remade(
        record,
        _turned(record.image, quarter_turns, flip),
        _turned(record.instances, quarter_turns, flip),
        _turned(record.labels, quarter_turns, flip),
        smallest=1,
    )


def _turned(array: npt.NDArray[Pixel], quarter_turns: int, flip: bool) -> npt.NDArray[Pixel]:
    turned = np.rot90(array, quarter_turns)
    return np.ascontiguousarray(turned[:, ::-1] if flip else turned)


def augment(
    record: Record,
    size: int,
    rng: np.random.Generator,
    stain_strength: float = 0.0,
    stride: int = 1,
    scale_strength: float = 0.0,
    around: npt.ArrayLike | None = None,
) -> Record:
    """A random patch in one of the eight orientations, its stain jittered by ``stain_strength``.

    ``scale_strength`` s makes its structures between 1 / (1 + s) and 1 + s times as large, as if the
    slide had been scanned at another resolution: the patch is cut that much larger or smaller, never
    larger than the record, and resampled to ``size``. ``stride`` and ``around`` are those of
    :func:`random_crop`. Raises ValueError if the record is smaller than ``size``.
    """
    _check_size(record, size)
    side = size
    if scale_strength > 0:
        reach = np.log1p(scale_strength)
        side = min(round(size / np.exp(rng.uniform(-reach, reach))), *record.labels.shape)
    y, x = _corner(record, side, rng, stride, around)
    window = np.s_[y : y + side, x : x + side]
    # On arrays, so that points and distances are computed only once, from the result.
    image, instances, labels = (
        record.image[window],
        record.instances[window],
        record.labels[window],
    )
    if side != size:
        image, instances, labels = resampled(image, instances, labels, (size, size))
    quarter_turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    image = _turned(image, quarter_turns, flip)
    if stain_strength > 0:
        image = jitter_stain(image, stain_strength, rng)
    return remade(
        record,
        image,
        _turned(instances, quarter_turns, flip),
        _turned(labels, quarter_turns, flip),
    )
