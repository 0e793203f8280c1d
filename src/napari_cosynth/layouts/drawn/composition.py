"""How many nuclei of each class a layout holds, against the shares that it should have."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def shares(counts: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Counts (K,) -> each one's part of all, float64 (K,) in 0..1; zeros where there are none."""
    numbers = np.asarray(counts, np.float64)
    total = numbers.sum()
    return np.asarray(numbers / total if total else np.zeros_like(numbers), np.float64)


def missing(count: int, total: int, target: float) -> int:
    """How many more of a class, the others staying, make it ``target`` of all; below 0: how many less.

    x of (count + x) / (total + x) = target, rounded. Raises ValueError where 0 <= target < 1 does
    not hold: no number of points makes a class all of a layout that holds others.
    """
    if not 0 <= target < 1:
        raise ValueError(f"target: expected a share in 0..1, below 1, got {target}")
    return round((target * total - count) / (1 - target))
