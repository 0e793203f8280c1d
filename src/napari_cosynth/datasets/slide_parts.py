"""Annotated parts of a slide: the records of an image that is too large for one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.box import Box

WHOLE = 2**24
"""Most pixels of an image that is one record: 4096 x 4096."""
SIDE = 2048
"""Side in pixels of the squares that divide a larger image, from its upper left corner."""
MARGIN = 16
"""Pixels read around the nuclei of a square; beyond them the annotator may not have looked."""


def annotated_parts(
    boxes: npt.NDArray[np.float64], shape: tuple[int, int]
) -> dict[tuple[int, int], Box]:
    """Corner (y, x) of each square that holds the middle of a nucleus -> the part of it to read.

    The part is the rectangle around the square's nuclei, enlarged by :data:`MARGIN`, inside the square
    and the image of ``shape`` (H, W). ``boxes``: (y0, x0, y1, x1) of the nuclei in pixels from the upper
    left corner, (N, 4).
    """
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = ((middles >= 0) & (middles < shape)).all(1)
    squares = (middles[inside] // SIDE).astype(np.int64)
    found = {}
    corners, member = np.unique(squares, axis=0, return_inverse=True)
    for number, (row, column) in enumerate(corners.tolist()):
        own = boxes[inside][member.ravel() == number]
        low, high = np.floor(own[:, :2].min(0)), np.ceil(own[:, 2:].max(0))
        y, x = row * SIDE, column * SIDE
        part = Box(int(low[0]), int(low[1]), int(high[0]), int(high[1])).grown(MARGIN)
        part = part.moved(-y, -x).clipped((SIDE, SIDE)).moved(y, x).clipped(shape)
        found[y, x] = part
    return found


def reaching(boxes: npt.NDArray[np.float64], part: Box) -> npt.NDArray[np.int64]:
    """Rows of the boxes (N, 4) that reach into a part."""
    low, high = boxes[:, :2] < (part.y1, part.x1), boxes[:, 2:] > (part.y0, part.x0)
    return np.flatnonzero((low & high).all(1))
