"""Labels + distance + layout -> instances: marker-controlled watershed and two baselines (paper 3.4)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.measure import label as connected
from skimage.segmentation import watershed

from napari_cosynth.geometry.cones import fit_borders, rejoin
from napari_cosynth.geometry.measure import majority_classes
from napari_cosynth.geometry.raster import marker_map
from napari_cosynth.types import Layout, Report

Method = Literal["points", "distance maxima", "connected components"]

PEAK_HEIGHT = 0.5
"""Least height of a peak that counts; the distance map reaches 1 in each nucleus."""


def separate(
    labels: npt.NDArray[np.uint8],
    distance: npt.NDArray[np.float32],
    layout: Layout,
) -> tuple[npt.NDArray[np.int32], Report]:
    """Instances int32 (H, W) whose ids name their points, and a report of what did not fit.

    ``labels`` uint8 (H, W), ``distance`` float32 (H, W) in [0, 1]. The watershed floods -distance
    from the points, within the foreground. Then borders move to where the nuclei's cones meet.
    Instance ``i`` belongs to row ``i - 1`` of the layout. Foreground that no point reaches gets ids
    above N, one per connected component, so that labels and instances always agree. Nothing is
    dropped: the report lists nuclei that are missed, spurious, merged or of another class than their
    point.
    """
    markers = marker_map(layout)
    foreground = labels > 0
    reached = np.where(foreground, markers, 0)
    if not foreground.any():
        return np.zeros(labels.shape, np.int32), Report(missed=tuple(range(1, len(layout) + 1)))
    instances = watershed(-distance, reached, mask=foreground).astype(np.int32)
    instances = rejoin(fit_borders(instances, distance, layout), reached)
    orphans = connected(foreground & (instances == 0), connectivity=2)
    instances = np.where(orphans > 0, orphans + len(layout), instances).astype(np.int32)

    return instances, report_on(instances, labels, distance, layout)


def report_on(
    instances: npt.NDArray[np.int32],
    labels: npt.NDArray[np.uint8],
    distance: npt.NDArray[np.float32],
    layout: Layout,
) -> Report:
    """The report of :func:`separate`, for instances (H, W) from a file or an edit.

    Their ids name the points of ``layout``.
    """
    present = np.unique(instances)
    missed = np.setdiff1d(np.arange(1, len(layout) + 1), present)
    majority = majority_classes(instances, labels, len(layout.classes))[: len(layout)]
    known = np.zeros(len(layout), np.uint8)
    known[: len(majority)] = majority
    differs = np.flatnonzero(known != layout.class_ids) + 1
    return Report(
        missed=tuple(int(i) for i in missed),
        spurious=tuple(int(i) for i in present[present > len(layout)]),
        merged=merged_instances(distance, instances, len(layout)),
        flagged=tuple(int(i) for i in np.intersect1d(differs, present)),
    )


def merged_instances(
    distance: npt.NDArray[np.float32], instances: npt.NDArray[np.int32], points: int
) -> tuple[int, ...]:
    """Ids in 1..``points`` of instances with more than one peak of the distance map."""
    peaks = _peaks(distance, instances > 0, blur=1.0, spacing=3)
    _, where = np.unique(peaks, return_index=True)  # one pixel of each peak, and the background
    ids = np.where(peaks > 0, instances, 0).ravel()[where]
    counts = np.bincount(ids, minlength=points + 1)
    return tuple(int(i) for i in np.flatnonzero(counts[1 : points + 1] > 1) + 1)


def _peaks(
    distance: npt.NDArray[np.float32],
    foreground: npt.NDArray[np.bool_],
    blur: float,
    spacing: int,
) -> npt.NDArray[np.int32]:
    """The peaks of the distance map, numbered from 1, int32 (H, W); a plateau is one peak.

    ``blur`` is a Gaussian's sigma and ``spacing`` the least distance of two peaks, in pixels.
    """
    smooth = np.where(foreground, ndi.gaussian_filter(distance, blur), 0)
    highest = ndi.maximum_filter(smooth, 2 * spacing + 1)
    return np.asarray(
        connected((smooth == highest) & (smooth > PEAK_HEIGHT), connectivity=2), np.int32
    )


def separate_baseline(
    labels: npt.NDArray[np.uint8], distance: npt.NDArray[np.float32], method: Method
) -> npt.NDArray[np.int32]:
    """Instances by one of the paper's two baselines, int32 (H, W), ids 1..N in no set order.

    They know no points. ``connected components`` are those of each class. ``distance maxima`` is a
    watershed of -distance from the map's own maxima (Yu et al.).
    """
    if method == "connected components":
        return np.asarray(connected(labels, background=0, connectivity=1), np.int32)
    if method == "distance maxima":
        foreground = labels > 0
        markers = _peaks(distance, foreground, blur=0.5, spacing=2)
        flooded = watershed(-distance, markers, mask=foreground)
        return np.asarray(flooded, np.int32)
    raise ValueError(f"expected 'connected components' or 'distance maxima', got {method!r}")


def agreeing_labels(
    instances: npt.NDArray[np.int32], labels: npt.NDArray[np.uint8], classes: int
) -> npt.NDArray[np.uint8]:
    """Semantic labels in which every instance has its majority class, uint8 (H, W)."""
    table = np.concatenate([np.zeros(1, np.uint8), majority_classes(instances, labels, classes)])
    return table[instances]
