"""Quality of instance separation: the Dice coefficient of each nucleus (paper, Table 3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cosynth.evaluation.metrics.quotients import quotient
from napari_cosynth.evaluation.metrics.segmentation import overlaps
from napari_cosynth.geometry.instances import Method, separate, separate_baseline
from napari_cosynth.types import Record

METHODS: tuple[Method, ...] = ("points", "distance maxima", "connected components")
"""Our method, Yu et al.'s and the naive one."""


def dice_per_nucleus(
    truth: npt.NDArray[np.int32], found: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """The Dice coefficient of each true nucleus 1..N with the instance that shares most pixels.

    float64 (N,): 0 if no instance overlaps it, NaN for an id that ``truth`` lacks. The mean is the
    paper's mDice.
    """
    pairs = overlaps(truth, found)
    # The last write wins: it has most pixels, and among equals the lowest id.
    order = np.lexsort((-pairs.found_ids, pairs.pixels))
    partner = np.zeros(len(pairs.true_areas), np.int64)
    shared = np.zeros(len(pairs.true_areas), np.int64)
    partner[pairs.true_ids[order]] = pairs.found_ids[order]
    shared[pairs.true_ids[order]] = pairs.pixels[order]
    dice = quotient(2 * shared, pairs.true_areas + pairs.found_areas[partner])
    return np.where(pairs.true_areas > 0, dice, np.nan)[1:]


def separated(record: Record) -> dict[Method, npt.NDArray[np.int32]]:
    """The instances, int32 (H, W), that each method finds in a record's own labels and distances."""
    found: dict[Method, npt.NDArray[np.int32]] = {}
    for method in METHODS:
        if method == "points":
            found[method], _ = separate(record.labels, record.distance, record.layout)
        else:
            found[method] = separate_baseline(record.labels, record.distance, method)
    return found


def separations(record: Record) -> dict[Method, npt.NDArray[np.float64]]:
    """The Dice coefficients of a record's nuclei by method, as its own labels and distances give them."""
    found = separated(record)
    return {method: dice_per_nucleus(record.instances, found[method]) for method in METHODS}


def touching(instances: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Which nuclei 1..N of instances (H, W) have a pixel next to another nucleus', bool (N,)."""
    found = np.zeros(int(instances.max(initial=0)) + 1, bool)
    height, width = instances.shape
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        # Compare each pixel with the one at (dy, dx) from it.
        left, right = max(0, -dx), width - max(0, dx)
        a = instances[: height - dy, left:right]
        b = instances[dy:, left + dx : right + dx]
        meet = (a != b) & (a > 0) & (b > 0)
        found[a[meet]] = found[b[meet]] = True
    return found[1:]
