"""Label arrays on another grid: each pixel takes the id that covers most of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_VOTES = 2**20
"""Old pixels that are counted at once."""


def majority(ids: npt.NDArray[np.integer], shape: tuple[int, int]) -> npt.NDArray[np.integer]:
    """Ids (H, W) on a grid of ``shape`` over the same field: by area, or on a finer grid the nearest.

    Taking the nearest pixel on a coarser grid too would move every nucleus by half a pixel against an
    image of area means, where an even number of pixels become one. If two ids cover equal areas, an id
    above 0 wins over the background, on every side of a nucleus alike, and the smaller of two ids wins.
    Time grows with the pixels of the larger grid.
    """
    (y, high), (x, wide) = (_overlaps(old, new) for old, new in zip(ids.shape, shape, strict=True))
    if y.shape[1] == x.shape[1] == 1:
        return ids[np.ix_(y[:, 0], x[:, 0])]
    best = np.empty(shape[0] * shape[1], ids.dtype)
    block = max(1, _VOTES // (y.shape[1] * x.shape[1]))
    for first in range(0, best.size, block):
        rows, columns = np.divmod(np.arange(first, min(first + block, best.size)), shape[1])
        votes = ids[y[rows][:, :, None], x[columns][:, None, :]]
        weight = high[rows][:, :, None] * wide[columns][:, None, :]
        best[first : first + block] = _most(
            votes.reshape(len(rows), -1), weight.reshape(len(rows), -1)
        )
    return best.reshape(shape)


def _most(
    votes: npt.NDArray[np.integer], weight: npt.NDArray[np.float64]
) -> npt.NDArray[np.integer]:
    """For each row of votes (N, V) the id of the most weight."""
    order = np.argsort(votes, axis=1, kind="stable")
    votes, weight = np.take_along_axis(votes, order, 1), np.take_along_axis(weight, order, 1)
    begins = np.ones(votes.shape, bool)
    begins[:, 1:] = votes[:, 1:] != votes[:, :-1]
    runs = np.flatnonzero(begins)  # of one id within one row
    share, candidate = np.add.reduceat(weight.ravel(), runs), votes.ravel()[runs]
    count = begins.sum(1)
    first = np.cumsum(count) - count
    ahead = share > np.repeat(np.maximum.reduceat(share, first), count) - 1e-6
    wanted = ahead & (candidate > 0)
    key = np.where(wanted, candidate, np.iinfo(votes.dtype).max)
    return np.where(np.logical_or.reduceat(wanted, first), np.minimum.reduceat(key, first), 0)


def _overlaps(old: int, new: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """For each of ``new`` samples the ones of ``old`` that it covers, and how much of each: (new, K)."""
    if new >= old:
        nearest = np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        return nearest[:, None], np.ones((new, 1))
    factor = old / new
    start = np.arange(new)[:, None] * factor
    cell = np.floor(start + 1e-9).astype(int) + np.arange(int(np.ceil(factor)) + 1)
    covered = np.minimum(cell + 1, start + factor) - np.maximum(cell, start)
    share = np.where(cell < old, covered, 0).clip(0).round(9)
    used = share.any(0)
    return np.minimum(cell, old - 1)[:, used], share[:, used]
