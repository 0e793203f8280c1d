"""Masks <-> polygons along pixel borders, with holes and several parts.

Coordinates are (x, y) with the origin at the *corner* of the top left pixel, as in GeoJSON and COCO. The
pixel (row, column) covers ``[column, column + 1] x [row, row + 1]``, so its centre lies half a pixel
from our own coordinates. A mask turned into polygons and back is the same mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.draw import polygon as fill

Ring: TypeAlias = list[tuple[int, int]]
"""(x, y) of the corners, the first not repeated."""
Polygon: TypeAlias = list[Ring]
"""The outer ring, then the holes."""

_TURNS = {(1, 0): (0, 1), (0, 1): (-1, 0), (-1, 0): (0, -1), (0, -1): (1, 0)}
"""A step (dx, dy) -> the step of a right turn, with y pointing down."""


def outlines(mask: npt.NDArray[np.bool_], offset: tuple[int, int] = (0, 0)) -> list[Polygon]:
    """One polygon for each 4-connected part of a mask (H, W), by its corners only.

    Outer rings have a positive area by the shoelace formula, holes a negative one. Parts that touch at a
    corner stay separate, so that the polygons are valid. ``offset``: (y, x) of the mask's corner.
    """
    parts, count = ndi.label(mask)
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    steps: dict[tuple[int, int], dict[tuple[int, int], int]] = {}
    # The mask lies to the right of every step, so a pixel's top border runs rightwards.
    for neighbour, (start_y, start_x), step in (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (0, 1), (0, 1)),
        (padded[2:, 1:-1], (1, 1), (-1, 0)),
        (padded[1:-1, :-2], (1, 0), (0, -1)),
    ):
        rows, columns = np.nonzero(inside & ~neighbour)
        for y, x, part in zip(
            rows.tolist(), columns.tolist(), parts[rows, columns].tolist(), strict=True
        ):
            steps.setdefault((x + start_x, y + start_y), {})[step] = part
    outer: list[Polygon] = [[] for _ in range(count)]
    holes: list[Polygon] = [[] for _ in range(count)]
    for start, leaving in steps.items():
        while leaving:
            step = next(iter(leaving))
            part = leaving[step]
            for ring in _apart(_follow(steps, start, step)):
                side = outer if _area(ring) > 0 else holes
                side[part - 1].append([(x + offset[1], y + offset[0]) for x, y in ring])
    return [rings + inner for rings, inner in zip(outer, holes, strict=True)]


def _follow(
    steps: dict[tuple[int, int], dict[tuple[int, int], int]],
    start: tuple[int, int],
    step: tuple[int, int],
) -> Ring:
    """The ring that begins with a step; its steps are removed from ``steps``."""
    ring: Ring = []
    at, first, previous = start, step, (0, 0)
    while True:
        if step != previous:
            ring.append(at)
        del steps[at][step]
        at, previous = (at[0] + step[0], at[1] + step[1]), step
        if at == start:
            if first == previous:
                ring.pop(0)
            return ring
        # Where two pixels touch at a corner, a right turn stays with the same pixel.
        right = _TURNS[step]
        step = right if right in steps[at] else next(iter(steps[at]))


def _apart(ring: Ring) -> list[Ring]:
    """A ring split where it touches itself, into rings that touch each other at corners."""
    rings: list[Ring] = []
    path: Ring = []
    places: dict[tuple[int, int], int] = {}
    for corner in ring:
        if corner in places:
            loop = path[places[corner] :]
            rings.append(loop)
            del path[places[corner] :]
            for passed in loop:
                del places[passed]
        places[corner] = len(path)
        path.append(corner)
    return [*rings, path]


def _area(ring: Ring) -> int:
    """Twice the area by the shoelace formula."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, [*ring[1:], ring[0]], strict=True))


def filled(
    polygons: Sequence[Sequence[npt.NDArray[np.floating]]], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
    """The pixels whose centres lie in polygons: a bool mask and the (y, x) of its corner.

    ``polygons``: lists of rings, each float (N, 2) of (x, y), the outer one first. A pixel is inside a
    polygon if an odd number of its rings enclose it. The mask covers the part of a canvas of ``shape``
    (H, W) that the rings reach; it is empty if they miss the canvas.
    """
    points = np.concatenate([ring for rings in polygons for ring in rings])
    low = np.maximum(np.floor(points.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + 1, (shape[1], shape[0]))
    x, y = int(low[0]), int(low[1])
    width, height = max(0, int(high[0]) - x), max(0, int(high[1]) - y)
    mask = np.zeros((height, width), bool)
    for rings in polygons:
        odd = np.zeros_like(mask)
        for ring in rings:
            rows, columns = fill(ring[:, 1] - y - 0.5, ring[:, 0] - x - 0.5, mask.shape)
            odd[rows, columns] ^= True
        mask |= odd
    return mask, (y, x)
