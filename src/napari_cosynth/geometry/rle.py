"""COCO's run-length encoding of masks, and its way of filling polygons.

Runs go down the columns and begin with the zeros. A string holds them as digits of five bits, from
character 48 on; each run from the fourth on is stored as its difference from the run two before
(``rleToString`` of the COCO API).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.errors import shown

_SCALE = 5
"""COCO fills polygons on a grid that is finer by this factor."""
MOST_POINTS = 2**26
"""Most grid points on the borders of polygons that are filled at once."""


def encode(
    mask: npt.NDArray[np.bool_],
    offset: tuple[int, int] = (0, 0),
    shape: tuple[int, int] | None = None,
) -> list[int]:
    """The runs of a mask whose corner lies at ``offset`` (y, x) of a canvas of ``shape`` (H, W).

    The first run is of zeros; the runs add up to H * W.
    """
    height, width = shape if shape is not None else mask.shape
    changes = np.diff(np.pad(mask, ((1, 1), (0, 0))).astype(np.int8), axis=0) != 0
    columns, rows = np.nonzero(changes.T)
    flips = (columns + offset[1]) * height + rows + offset[0]
    # A run at the end of a column and one at the start of the next are one run.
    positions, times = np.unique(flips, return_counts=True)
    bounds = np.concatenate([[0], positions[times == 1], [height * width]])
    if len(bounds) > 2 and bounds[-2] == bounds[-1]:  # the last run reaches the end
        bounds = bounds[:-1]
    return [int(n) for n in np.diff(bounds)]


def decode(runs: Sequence[int], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The mask of runs, bool (H, W). Raises ValueError if they do not fill the canvas."""
    flat = np.zeros(shape[0] * shape[1], bool)
    paint(flat, *run_spans(runs, shape), True)
    return flat.reshape(shape, order="F")


def run_spans(
    runs: Sequence[int], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Starts and stops of a mask's spans down the columns, int64 (N,) each.

    A stop is the pixel after the last. Raises ValueError if the runs do not fill the canvas (H, W).
    """
    counts = np.asarray(runs)
    if counts.ndim != 1 or (len(counts) and counts.dtype.kind not in "iu"):
        raise ValueError(f"counts: expected whole numbers, got {shown(runs)}")
    ends = np.cumsum(counts, dtype=np.int64)
    if (counts < 0).any() or (ends[-1] if len(ends) else 0) != shape[0] * shape[1]:
        raise ValueError(f"counts: expected runs that add up to {shape[0]} x {shape[1]}")
    return ends[: len(ends) // 2 * 2 : 2], ends[1::2]


def paint(
    flat: npt.NDArray[Any],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    values: Any,
) -> None:
    """Writes ``values``, one for all spans or one for each, into ``flat`` (H * W,).

    ``flat`` is a canvas read down its columns. Where spans overlap, the later one wins.
    """
    lengths = stops - starts
    first = np.cumsum(lengths) - lengths
    pixels = np.arange(int(lengths.sum())) + np.repeat(starts - first, lengths)
    flat[pixels] = values if np.ndim(values) == 0 else np.repeat(values, lengths)


def to_string(runs: Sequence[int]) -> str:
    """Runs as a string of COCO's files."""
    out = bytearray()
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            digit = value & 31
            value >>= 5
            more = value != (-1 if digit & 16 else 0)
            out.append((digit | 32 if more else digit) + 48)
    return out.decode("ascii")


def from_string(text: str) -> list[int]:
    """The runs in a string of COCO's files. Raises ValueError if it is malformed."""
    runs: list[int] = []
    value = shift = 0
    for character in text.encode():
        digit = character - 48
        if not 0 <= digit < 64:
            raise ValueError(f"counts: unexpected character {chr(character)!r}")
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("counts: the string ends within a number")
    return runs


def polygon_spans(
    points: npt.NDArray[np.floating], sizes: npt.NDArray[np.int64], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Polygons filled as the COCO API does (``rleFrPoly``), all at once.

    ``points``: float (N, 2), (x, y) of the corners of all polygons, one polygon after the other;
    ``sizes``: the number of corners of each. Returns for each span down the columns of a canvas (H, W)
    the polygon's number, the first pixel and the one after the last. Borders are drawn on a grid that is
    5 times finer; where a border crosses the middle line of a column, the mask changes at the next row
    below. Raises ValueError if the borders are far longer than any canvas.
    """
    height, width = shape
    if not len(points):
        return (np.zeros(0, np.int64),) * 3
    here = (_SCALE * points.astype(np.float64) + 0.5).astype(np.int64)
    following = np.arange(1, len(here) + 1)
    ends = np.cumsum(sizes)[sizes > 0]
    following[ends - 1] = ends - sizes[sizes > 0]
    edge, column, upper = _crossings(here, here[following], width)
    row = np.ceil(np.clip((upper + 0.5) / _SCALE - 0.5, 0, height)).astype(np.int64)
    at, of = column * height + row, np.repeat(np.arange(len(sizes)), sizes)[edge]
    # A polygon that the right edge cuts off lacks its last change.
    open_ended = np.flatnonzero(np.bincount(of, minlength=len(sizes)) % 2)
    at = np.concatenate([at, np.full(len(open_ended), height * width)])
    of = np.concatenate([of, open_ended])
    order = np.lexsort((at, of))
    return of[order][::2], at[order][::2], at[order][1::2]


def _crossings(
    start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], width: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Crossings of edges with the middle lines of columns, on the finer grid.

    ``start`` and ``end``: the edges' corners (N, 2). Returns for each crossing the edge, the column and
    the upper of the two grid points beside the middle line, int64 (M,) each. Edges are drawn as in the
    COCO API: one point for each step along an edge's longer side, from its lower end, whatever its
    direction.
    """
    away = np.abs(end - start)
    reach = away.max(1)
    if (total := int(reach.sum() + len(reach))) > MOST_POINTS:
        raise ValueError(
            f"expected borders within reach of the image, got {total // _SCALE} pixels"
        )
    # The middle of column c lies between the grid points 5 c + 2 and 5 c + 3.
    left, right = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    first = np.maximum(-((_SCALE // 2 - left) // _SCALE), 0)
    count = np.maximum(np.minimum((right - _SCALE // 2 - 1) // _SCALE, width - 1) + 1 - first, 0)
    edge = np.repeat(np.arange(len(reach)), count)
    column = np.arange(len(edge)) + np.repeat(first - (np.cumsum(count) - count), count)
    x = column * _SCALE + _SCALE // 2
    wide = away[:, 0] >= away[:, 1]
    a, b = (np.where(wide[:, None], corners, corners[:, ::-1]).T for corners in (start, end))
    # Coordinates along and across the longer side; ``low`` is the end where it begins.
    low, high = np.where(a[0] > b[0], b, a), np.where(a[0] > b[0], a, b)
    slope = (high[1] - low[1]) / np.maximum(reach, 1)
    (along, across), slope, wide = low[:, edge], slope[edge], wide[edge]

    def other(step: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        drawn: npt.NDArray[np.int64] = (across + slope * step + 0.5).astype(np.int64)
        return drawn

    # A tall edge crosses after its last point before x changes; rounding may miss it by one.
    ahead = slope > 0
    step = ((x + 0.5 - across) / np.where(wide, 1, slope)).astype(np.int64)
    step -= (other(step) > x) == ahead
    step += (other(step + 1) > x) != ahead
    # A wide edge has one point at x and one at x + 1.
    beside = np.minimum(other(x - along), other(x + 1 - along))
    return edge, column, np.where(wide, beside, along + step)
