"""Poisson image editing: a part of one image in another, without a step at its border.

The part keeps its own gradients (Pérez, Gangnet and Blake 2003). A membrane is added to it: the solution
of Laplace's equation that equals the difference of the two images at the part's border. A constant
difference moves the whole part. A difference that alternates from pixel to pixel fades within a few
pixels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from napari_cosynth.geometry.box import Box

Floats = npt.NDArray[np.float64]


def seamless(
    made: npt.NDArray[np.uint8],
    real: npt.NDArray[np.uint8],
    box: Box,
    free: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.uint8]:
    """The pixels of ``made`` in ``box``, uint8 (h, w, C), joined to ``real`` around the box.

    ``made`` and ``real`` are uint8 (H, W, C) of the same place; ``real`` is not used inside the box. A
    side of the box on the images' edge is not joined. With ``free``, bool (h, w), only its pixels come
    from ``made``; the others are ``real``, and ``made`` is joined to them too.
    """
    away = real.astype(np.float64) - made
    if free is None or free.all():
        new = made[box.slices] + _membrane(away, box)
        return np.asarray(new.round().clip(0, 255), np.uint8)
    inside = np.zeros(away.shape[:2], bool)
    inside[box.slices] = free
    new = real.astype(np.float64)
    new[inside] = made[inside] + _membrane_over(away, inside)
    return np.asarray(new[box.slices].round().clip(0, 255), np.uint8)


def _membrane_over(away: Floats, inside: npt.NDArray[np.bool_]) -> Floats:
    """The membrane at a mask's pixels, float64 (N, C), in their order; the mask leaves some free."""
    number = np.full(inside.shape, -1)
    count = int(inside.sum())
    number[inside] = np.arange(count)
    neighbours, pull = np.zeros(count), np.zeros((count, away.shape[2]))
    rows, columns = [], []
    for axis in (0, 1):
        low, high = np.arange(inside.shape[axis] - 1), np.arange(1, inside.shape[axis])
        for here, there in ((low, high), (high, low)):
            own, other = (number.take(i, axis) for i in (here, there))
            beyond = away.take(there, axis)
            neighbours[own[own >= 0]] += 1
            held, pair = (own >= 0) & (other < 0), (own >= 0) & (other >= 0)
            pull[own[held]] += beyond[held]
            rows.append(own[pair])
            columns.append(other[pair])
    y = np.concatenate([*rows, np.arange(count)])
    x = np.concatenate([*columns, np.arange(count)])
    values = np.concatenate([-np.ones(len(y) - count), neighbours])
    matrix = coo_array((values, (y, x)), shape=(count, count)).tocsc()
    return np.asarray(splu(matrix, permc_spec="MMD_AT_PLUS_A").solve(pull))


def _membrane(away: Floats, box: Box) -> Floats:
    """The membrane in the box, float64 (h, w, C), by eigenvectors of each axis' second difference."""
    rows, columns = slice(box.y0, box.y1), slice(box.x0, box.x1)
    top, bottom = box.y0 > 0, box.y1 < away.shape[0]
    left, right = box.x0 > 0, box.x1 < away.shape[1]
    pull = np.zeros((*box.shape, away.shape[2]))
    if not (top or bottom or left or right):
        return pull
    if top:
        pull[0] += away[box.y0 - 1, columns]
    if bottom:
        pull[-1] += away[box.y1, columns]
    if left:
        pull[:, 0] += away[rows, box.x0 - 1]
    if right:
        pull[:, -1] += away[rows, box.x1]
    down, p = np.linalg.eigh(_second_difference(box.shape[0], top, bottom))
    across, q = np.linalg.eigh(_second_difference(box.shape[1], left, right))
    waves = np.tensordot(p.T, np.tensordot(pull, q, (1, 0)), (1, 0))  # (h, C, w)
    waves /= (down[:, None] + across)[:, None]
    return np.asarray(np.tensordot(p, waves, (1, 0)) @ q.T).transpose(0, 2, 1)


def _second_difference(number: int, first: bool, last: bool) -> Floats:
    """The negated second difference, float64 (n, n); ``first`` and ``last`` say which ends are held."""
    matrix = 2 * np.eye(number) - np.eye(number, k=1) - np.eye(number, k=-1)
    matrix[0, 0] -= not first
    matrix[-1, -1] -= not last
    return np.asarray(matrix)
