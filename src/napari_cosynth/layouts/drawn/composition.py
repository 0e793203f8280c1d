"""Composition of a layout: the shares of its classes, and the nuclei missing to a target share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def shares(counts: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Each count's share of the total, float64 (K,) in 0..1; zeros where all counts are 0."""
    numbers = np.asarray(counts, np.float64)
    total = numbers.sum()
    return np.asarray(numbers / total if total else np.zeros_like(numbers), np.float64)


def missing(count: int, total: int, target: float) -> int:
    """Nuclei to add to a class so that it is the share ``target`` of all; below 0: to remove.

    The other classes stay: it is x of (count + x) / (total + x) = target, rounded. Raises ValueError
    unless 0 <= target < 1; a class cannot become all of a layout that holds others.
    """
    if not 0 <= target < 1:
        raise ValueError(f"target: expected a share in 0..1, below 1, got {target}")
    return round((target * total - count) / (1 - target))
