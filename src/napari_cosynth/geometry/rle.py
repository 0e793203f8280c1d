"""COCO's run-length encoding of masks, and its way of filling polygons.

Runs go down the columns and begin with the zeros. A string holds them as base-48 digits of five bits,
each run from the fourth on as its difference from the one two before (``rleToString`` of the COCO API).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_SCALE = 5
"""COCO fills polygons on a grid finer by this factor."""


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
    counts = np.asarray(runs, np.int64)
    if counts.ndim != 1 or (counts < 0).any() or counts.sum() != shape[0] * shape[1]:
        raise ValueError(f"counts: expected runs that add up to {shape[0]} x {shape[1]}")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(shape, order="F")


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


def fill_polygon(points: npt.NDArray[np.floating], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The mask of one polygon, float (N, 2) of (x, y), as the COCO API fills it (``rleFrPoly``).

    The border is drawn on a grid finer by 5; where it crosses the middle line of a column, the mask
    changes at the next row below.
    """
    height, width = shape
    corners = (_SCALE * np.asarray(points, np.float64) + 0.5).astype(np.int64)
    drawn = [_line(a, b) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
    u, v = np.concatenate(drawn).T
    crosses = u[1:] != u[:-1]
    left = np.where(u[1:] < u[:-1], u[1:], u[1:] - 1)[crosses]
    upper = np.minimum(v[1:], v[:-1])[crosses]
    column = (left + 0.5) / _SCALE - 0.5
    kept = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    row = np.ceil(np.clip((upper[kept] + 0.5) / _SCALE - 0.5, 0, height)).astype(np.int64)
    flips = np.bincount(column[kept].astype(np.int64) * height + row, minlength=height * width + 1)
    flat = np.cumsum(flips)[:-1] % 2 == 1
    return np.asarray(flat[: height * width].reshape(shape, order="F"))


def _line(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The grid points from one corner to the next, drawn in the order that does not depend on
    direction and returned from start to end."""
    dx, dy = np.abs(end - start)
    wide = dx >= dy
    flip = start[0] > end[0] if wide else start[1] > end[1]
    a, b = (end, start) if flip else (start, end)
    along = np.arange(max(dx, dy) + 1)
    slope = (b[1] - a[1]) / dx if wide and dx else (b[0] - a[0]) / dy if dy else 0.0
    if wide:
        line = np.stack([a[0] + along, (a[1] + slope * along + 0.5).astype(np.int64)], 1)
    else:
        line = np.stack([(a[0] + slope * along + 0.5).astype(np.int64), a[1] + along], 1)
    return line[::-1] if flip else line
