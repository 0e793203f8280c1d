"""Positions as other programs write them, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FARTHEST = 1e9
"""Pixels from the origin; a coordinate beyond it is no place on a slide."""


def read_positions(
    values: Any, where: str, columns: tuple[int, ...] = (2,)
) -> npt.NDArray[np.float64]:
    """A list of positions of ``columns`` numbers each, as float64 (N, 2), N >= 1: the first two of each.

    Raises ValueError that begins with ``where``.
    """
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0)
    if array.ndim != 2 or array.shape[1] not in columns or not len(array):
        raise ValueError(f"{where}: expected pairs of numbers, got {str(values)[:60]}")
    if not (np.abs(array) <= FARTHEST).all():
        raise ValueError(f"{where}: expected finite numbers, got {str(values)[:60]}")
    return array[:, :2]
