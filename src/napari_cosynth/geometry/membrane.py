"""A rectangle of one image in another without a step at its border, its own gradients kept.

Poisson image editing (Pérez, Gangnet and Blake 2003): to the new pixels is added the membrane, the
solution of Laplace's equation, that is at the rectangle's border what the two images differ by there.
A constant difference moves all of the rectangle; one that alternates from pixel to pixel fades within a
few of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cosynth.geometry.box import Box

Floats = npt.NDArray[np.float64]


def seamless(
    made: npt.NDArray[np.uint8], real: npt.NDArray[np.uint8], box: Box
) -> npt.NDArray[np.uint8]:
    """``made`` in ``box``, uint8 (h, w, C), moved to what ``real`` is just outside it.

    ``made`` and ``real`` are uint8 (H, W, C) of the same place; ``real`` does not count inside the box.
    A side of the box on the images' edge is free.
    """
    away = real.astype(np.float64) - made
    new = made[box.slices] + _membrane(away, box)
    return np.asarray(new.round().clip(0, 255), np.uint8)


def _membrane(away: Floats, box: Box) -> Floats:
    """The solution in the box, (h, w, C), by the eigenvectors of the two axes' second differences."""
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
    """(n, n), negated; held at an end where there is something beyond it."""
    matrix = 2 * np.eye(number) - np.eye(number, k=1) - np.eye(number, k=-1)
    matrix[0, 0] -= not first
    matrix[-1, -1] -= not last
    return np.asarray(matrix)
