"""Lists of positions in files of other programs, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.io.errors import shown

FARTHEST = 1e9
"""Largest coordinate in pixels; one beyond it is no place on a slide."""


def read_positions(
    values: Any, where: str, columns: tuple[int, ...] = (2,)
) -> npt.NDArray[np.float64]:
    """The first two numbers of each position in a list, float64 (N, 2), N >= 1.

    ``columns``: how many numbers a position may have. Raises ValueError that begins with ``where``.
    """
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0)
    if array.ndim != 2 or array.shape[1] not in columns or not len(array):
        raise ValueError(f"{where}: expected pairs of numbers, got {shown(values)}")
    if not (np.abs(array) <= FARTHEST).all():
        raise ValueError(f"{where}: expected finite numbers, got {shown(values)}")
    return array[:, :2]
