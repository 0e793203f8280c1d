"""Overview pictures of samples: layout, image, labels, instances and distance side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi

from napari_cosynth.datasets.survey import outlined
from napari_cosynth.geometry.raster import point_map
from napari_cosynth.types import Record, Synthesis

_GAP = 4


def overview(samples: Sequence[Synthesis]) -> npt.NDArray[np.uint8]:
    """A picture, uint8 (H, W, 3), with a row per sample.

    A row has the points, the image, the semantic labels, the outlined instances and the distance.
    """
    rows = [_row(sample.record) for sample in samples]
    height = max(row.shape[0] for row in rows)
    width = max(row.shape[1] for row in rows)
    return np.concatenate([_padded(row, height, width) for row in rows], 0)


def _row(record: Record) -> npt.NDArray[np.uint8]:
    panels = [
        _points(record),
        record.image,
        record.classes.colors[record.labels],
        outlined(record),
        np.stack([(record.distance * 255).round().astype(np.uint8)] * 3, -1),
    ]
    height, width = record.labels.shape
    return np.concatenate([_padded(p, height + _GAP, width + _GAP) for p in panels], 1)


def _points(record: Record) -> npt.NDArray[np.uint8]:
    """The layout as discs of radius 3 pixels in the classes' colours, on white."""
    canvas = point_map(record.layout)
    squares = np.arange(-3, 4) ** 2
    disc = np.add.outer(squares, squares) <= 9
    colors = record.classes.colors.copy()
    colors[0] = 255
    drawn: npt.NDArray[np.uint8] = colors[ndi.grey_dilation(canvas, footprint=disc)]
    return drawn


def _padded(picture: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    out = np.full((height, width, 3), 255, np.uint8)
    out[: picture.shape[0], : picture.shape[1]] = picture
    return out
