"""COCO's run-length encoding of masks, and its way of filling polygons.

Runs go down the columns and begin with the zeros. A string holds them as base-48 digits of five bits,
each run from the fourth on as its difference from the one two before (``rleToString`` of the COCO API).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_SCALE = 5
"""COCO fills polygons on a grid finer by this factor."""
MOST_POINTS = 2**26
"""Of the borders of polygons that are filled at once."""


def encode(
    mask: npt.NDArray[np.bool_],
    offset: tuple[int, int] = (0, 0),
    shape: tuple[int, int] | None = None,
) -> list[int]:
    """The runs of a mask whose corner lies at ``offset`` (y, x) of a canvas ``shape`` (H, W).

    Zeros come first; the runs add up to H * W.
    """
    height, width = shape if shape is not None else mask.shape
    changes = np.diff(np.pad(mask, ((1, 1), (0, 0))).astype(np.int8), axis=0) != 0
    columns, rows = np.nonzero(changes.T)
    flips = (columns + offset[1]) * height + rows + offset[0]
    # A run that ends a column and one that begins the next are one.
    positions, times = np.unique(flips, return_counts=True)
    bounds = np.concatenate([[0], positions[times == 1], [height * width]])
    if len(bounds) > 2 and bounds[-2] == bounds[-1]:  # the last run reaches the end
        bounds = bounds[:-1]
    return [int(n) for n in np.diff(bounds)]


def decode(runs: Sequence[int], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The mask of some runs. Raises ValueError where they do not fill the canvas (H, W)."""
    flat = np.zeros(shape[0] * shape[1], bool)
    paint(flat, *run_spans(runs, shape), True)
    return flat.reshape(shape, order="F")


def run_spans(
    runs: Sequence[int], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First pixels and the ones after the last, int64 (N,) each, of a mask's spans down the columns.

    Raises ValueError where the runs do not fill the canvas (H, W).
    """
    counts = np.asarray(runs)
    if counts.ndim != 1 or (len(counts) and counts.dtype.kind not in "iu"):
        raise ValueError(f"counts: expected whole numbers, got {str(runs)[:60]}")
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
    """Writes a value, or one for each span, into a canvas as one line down its columns.

    Where spans overlap the later one holds.
    """
    lengths = stops - starts
    first = np.cumsum(lengths) - lengths
    pixels = np.arange(int(lengths.sum())) + np.repeat(starts - first, lengths)
    flat[pixels] = values if np.ndim(values) == 0 else np.repeat(values, lengths)


def to_string(runs: Sequence[int]) -> str:
    """Runs as the string that COCO's files hold."""
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
    """The runs of a string. Raises ValueError where it is none."""
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

    ``points``: (x, y) of their corners one after the other, float (N, 2); ``sizes``: how many each has.
    Returns the polygon's number, the first pixel and the one after the last of each span down the
    columns of a canvas (H, W). A border is drawn on a grid finer by 5; where it crosses the middle line
    of a column, the mask changes at the next row below. Raises ValueError on a border that is far
    longer than any canvas.
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
    # A polygon that is cut off to the right does not change back.
    open_ended = np.flatnonzero(np.bincount(of, minlength=len(sizes)) % 2)
    at = np.concatenate([at, np.full(len(open_ended), height * width)])
    of = np.concatenate([of, open_ended])
    order = np.lexsort((at, of))
    return of[order][::2], at[order][::2], at[order][1::2]


def _crossings(
    start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], width: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where edges from corners (N, 2) to others, drawn on the finer grid, cross the middles of columns.

    Returns the edge, the column and the upper of the two grid points beside the middle line, (M,) each.
    The points are those that the COCO API draws: one for each step along the longer side of an edge,
    from its lower end, whatever its direction.
    """
    away = np.abs(end - start)
    reach = away.max(1)
    if (total := int(reach.sum() + len(reach))) > MOST_POINTS:
        raise ValueError(
            f"expected borders within reach of the image, got {total // _SCALE} pixels"
        )
    # Between the grid points 5 c + 2 and 5 c + 3 lies the middle of column c.
    left, right = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    first = np.maximum(-((_SCALE // 2 - left) // _SCALE), 0)
    count = np.maximum(np.minimum((right - _SCALE // 2 - 1) // _SCALE, width - 1) + 1 - first, 0)
    edge = np.repeat(np.arange(len(reach)), count)
    column = np.arange(len(edge)) + np.repeat(first - (np.cumsum(count) - count), count)
    x = column * _SCALE + _SCALE // 2
    wide = away[:, 0] >= away[:, 1]
    a, b = (np.where(wide[:, None], corners, corners[:, ::-1]).T for corners in (start, end))
    # Along the longer side, from its lower end.
    low, high = np.where(a[0] > b[0], b, a), np.where(a[0] > b[0], a, b)
    slope = (high[1] - low[1]) / np.maximum(reach, 1)
    (along, across), slope, wide = low[:, edge], slope[edge], wide[edge]

    def other(step: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        drawn: npt.NDArray[np.int64] = (across + slope * step + 0.5).astype(np.int64)
        return drawn

    # Of a tall edge the last point before x changes; rounding may miss it by one.
    ahead = slope > 0
    step = ((x + 0.5 - across) / np.where(wide, 1, slope)).astype(np.int64)
    step -= (other(step) > x) == ahead
    step += (other(step + 1) > x) != ahead
    # Of a wide one the points at x and x + 1.
    beside = np.minimum(other(x - along), other(x + 1 - along))
    return edge, column, np.where(wide, beside, along + step)
