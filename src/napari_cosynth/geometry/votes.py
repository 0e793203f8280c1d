"""Label arrays on another grid: each pixel takes the id that covers most of it."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt


def majority(ids: npt.NDArray[np.integer], shape: tuple[int, int]) -> npt.NDArray[np.integer]:
    """Ids (H, W) on a grid of ``shape`` over the same field: by area, or on a finer grid the nearest.

    Taking the nearest pixel on a coarser grid too would move every nucleus by half a pixel against an
    image of area means, where an even number of pixels become one. If two ids cover equal areas, an id
    above 0 wins over the background, on every side of a nucleus alike, and the smaller of two ids wins.
    """
    rows, columns = (_overlaps(old, new) for old, new in zip(ids.shape, shape, strict=True))
    places = list(product(zip(*rows, strict=True), zip(*columns, strict=True)))
    if len(places) == 1:
        (((y, _), (x, _)),) = places
        return ids[np.ix_(y, x)]
    found = [ids[np.ix_(y, x)] for (y, _), (x, _) in places]
    weight = [np.outer(a, b) for (_, a), (_, b) in places]
    best, most = np.zeros(shape, ids.dtype), np.full(shape, -1.0)
    for candidate in found:
        share = sum(
            np.where(other == candidate, w, 0) for other, w in zip(found, weight, strict=True)
        )
        near = np.abs(share - most) < 1e-6
        ahead = (share > most + 1e-6) | (
            near & (candidate > 0) & ((best == 0) | (candidate < best))
        )
        best, most = np.where(ahead, candidate, best), np.where(ahead, share, most)
    return best


def _overlaps(
    old: int, new: int
) -> tuple[list[npt.NDArray[np.intp]], list[npt.NDArray[np.float64]]]:
    """For each of ``new`` pixels along an axis, the ``old`` pixels it covers, and how much of each."""
    if new >= old:
        nearest = np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        return [nearest], [np.ones(new)]
    factor = old / new
    start = np.arange(new) * factor
    first = np.floor(start + 1e-9).astype(int)
    at, share = [], []
    for step in range(int(np.ceil(factor)) + 1):
        cell = first + step
        covered = np.minimum(cell + 1, start + factor) - np.maximum(cell, start)
        at.append(np.minimum(cell, old - 1))
        share.append(np.where(cell < old, covered, 0).clip(0).round(9))
    return at, share
