"""Borders between touching nuclei, from the cone that each nucleus forms in the distance map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.measure import label as connected

from napari_cosynth.geometry.raster import pixels
from napari_cosynth.types import Layout

MARGIN = 0.02
"""A pixel changes sides only if the neighbour's cone predicts its distance better by this much."""
SWEEPS = 6
"""Most pixels that a border may move, one a sweep."""


def fit_borders(
    instances: npt.NDArray[np.int32], distance: npt.NDArray[np.float32], layout: Layout
) -> npt.NDArray[np.int32]:
    """Instances whose shared borders lie where the two nuclei's cones meet, int32 (H, W).

    Within a nucleus ``1 - d(p) = |p - c| / R``, where ``c`` is its point and ``R`` is one number for all
    its pixels (:func:`napari_cosynth.geometry.raster.distance_map`). A watershed sees only the height
    of d, so an elongated nucleus, high along its flanks, takes its neighbour's rim. Here each nucleus'
    ``R`` is the median over its pixels. Sweep by sweep, pixels at a border between two nuclei go to the
    side whose cone predicts their distance better. The foreground and ids above N do not change.
    """
    count = len(layout)
    centres = np.vstack([np.zeros((1, 2)), layout.centroids.astype(np.float64)])
    reach = _reach(instances, distance, centres)
    # Flat indices into a padded map, where every pixel has four neighbours.
    padded = np.pad(instances, 1)
    width = padded.shape[1]
    flat, heights = padded.ravel(), np.pad(distance, 1).ravel()
    around = np.array([1, -1, width, -width])

    def misfit(where: npt.NDArray[np.intp], ids: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        y, x = where // width - 1, where % width - 1
        away = np.hypot(y - centres[ids, 0], x - centres[ids, 1])
        return np.abs(1 - away / reach[ids] - heights[where])

    held = np.zeros(flat.size, bool)
    held[(pixels(layout) + 1) @ np.array([width, 1])] = True  # a point's own pixel never changes
    active = _border(flat, around)
    for _ in range(SWEEPS):
        active = active[(flat[active] > 0) & (flat[active] <= count) & ~held[active]]
        current = flat[active]
        best, chosen = misfit(active, current) - MARGIN, current.copy()
        for step in around:
            other = flat[active + step]
            rival = np.flatnonzero((other > 0) & (other <= count) & (other != current))
            fit = misfit(active[rival], other[rival])
            better = rival[fit < best[rival]]
            best[better], chosen[better] = fit[fit < best[rival]], other[better]
        moved = chosen != current
        if not moved.any():
            break
        flat[active[moved]] = chosen[moved]
        # The next sweep can move only pixels beside those that this one moved.
        active = np.unique(np.concatenate([active[moved], *(active[moved] + s for s in around)]))
    return padded[1:-1, 1:-1].copy()


def _border(flat: npt.NDArray[np.int32], around: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Indices of pixels that touch another instance."""
    inside = np.flatnonzero(flat)
    here = flat[inside]
    touching = np.zeros(len(inside), bool)
    for step in around:
        other = flat[inside + step]
        touching |= (other > 0) & (other != here)
    return inside[touching]


def rejoin(
    instances: npt.NDArray[np.int32], markers: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Instances that are each one 4-connected part around their marker, int32 (H, W).

    A moved border may have cut off a piece; the piece goes to the instance that it now touches.
    """
    parts = connected(instances, background=0, connectivity=1)
    kept = np.zeros(int(parts.max()) + 1, bool)
    kept[parts[markers > 0]] = True
    kept[0] = True
    padded = np.pad(np.where(kept[parts], instances, 0), 1)
    width = padded.shape[1]
    loose = np.flatnonzero(np.pad(~kept[parts], 1))
    flat = padded.ravel()
    while loose.size:
        for step in (1, -1, width, -width):
            flat[loose] = np.where(flat[loose] == 0, flat[loose + step], flat[loose])
        left = loose[flat[loose] == 0]
        if left.size == loose.size:
            break
        loose = left
    return padded[1:-1, 1:-1].copy()


def _reach(
    instances: npt.NDArray[np.int32],
    distance: npt.NDArray[np.float32],
    centres: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """R of each nucleus 0..N in pixels: the median of |p - c| / (1 - d(p)) over its cone's flank."""
    count = len(centres) - 1
    flank = (instances > 0) & (instances <= count) & (distance > 0.15) & (distance < 0.85)
    y, x = np.nonzero(flank)
    ids = instances[y, x]
    ratio = np.hypot(y - centres[ids, 0], x - centres[ids, 1]) / (1 - distance[y, x])
    # Id and ratio in one number: one sort orders both.
    largest = float(ratio.max(initial=0.0)) + 1
    keys = np.sort(ids + ratio / largest)
    first, last = (np.searchsorted(keys, np.arange(count + 1) + extra) for extra in (0, 1))
    usual = float(np.median(ratio)) if ratio.size else 1.0
    reach = np.full(count + 1, usual)
    known = last > first
    reach[known] = (keys[(first[known] + last[known]) // 2] % 1) * largest
    return np.maximum(reach, 1.0)
