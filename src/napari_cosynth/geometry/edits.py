"""Edits of a layout: its part in a box, and the changes between two layouts of one canvas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from napari_cosynth.geometry.box import Box
from napari_cosynth.types import Layout


def cut(layout: Layout, box: Box) -> Layout:
    """The layout of the points whose pixels lie in a box, with that box as its canvas."""
    low, high = np.array([box.y0, box.x0]) - 0.5, np.array([box.y1, box.x1]) - 0.5
    inside = ((layout.centroids >= low) & (layout.centroids < high)).all(1)
    centroids = layout.centroids[inside] - np.array([box.y0, box.x0], np.float32)
    return Layout(centroids, layout.class_ids[inside], box.shape, layout.mpp, layout.classes)


def changed_points(before: Layout, after: Layout, within: float = 0.0) -> npt.NDArray[np.float64]:
    """The points that only one of two layouts of one canvas has, float64 (N, 2), (y, x).

    A moved or re-tagged point counts at its old and its new place; one that moved by no more than
    ``within`` pixels does not count. The order of points is no change.
    """
    gone, new = _alone(before, after, within), _alone(after, before, within)
    return np.concatenate([before.centroids[gone], after.centroids[new]]).astype(np.float64)


def _alone(one: Layout, other: Layout, within: float) -> npt.NDArray[np.bool_]:
    """Which points of ``one`` have no point of their class in ``other`` within reach, bool (N,)."""
    if not len(one) or not len(other):
        return np.ones(len(one), bool)
    far = 4.0 * max(one.shape)  # as a third axis it keeps classes further apart than any two points
    mine, theirs = (
        np.column_stack([layout.centroids.astype(np.float64), far * layout.class_ids])
        for layout in (one, other)
    )
    return np.asarray(KDTree(theirs).query(mine)[0] > within)


def changed_box(before: Layout, after: Layout) -> Box | None:
    """The smallest box around :func:`changed_points`; None if there is none."""
    different = changed_points(before, after)
    if not len(different):
        return None
    pixels = np.floor(different + 0.5).astype(int)
    (y0, x0), (y1, x1) = pixels.min(0), pixels.max(0) + 1
    return Box(int(y0), int(x0), int(y1), int(x1))


def near_changes(
    before: Layout, after: Layout, box: Box, reach: float, core: float, within: float = 0.5
) -> npt.NDArray[np.bool_]:
    """The pixels of a box to paint anew when ``after`` replaces ``before``, bool (h, w).

    These are the pixels within ``reach`` pixels of a changed point in the box, without the cores of
    nuclei that stay. A core is what lies within ``core`` pixels of a point of both layouts and nearer to
    it than to a change. ``within`` is that of :func:`changed_points`.
    """
    # Changes outside the box are not part of this edit.
    changed = changed_points(cut(before, box), cut(after, box), within)
    stays = after.centroids[~_alone(after, before, within)] - np.array([box.y0, box.x0])
    pixels = np.indices(box.shape).reshape(2, -1).T
    away, kept = _distance(pixels, changed, reach), _distance(pixels, stays, core)
    free = np.isfinite(away) & (away <= kept)
    return np.asarray(free.reshape(box.shape))


def _distance(
    pixels: npt.NDArray[np.int64], points: npt.NDArray[np.floating[Any]], most: float
) -> npt.NDArray[np.float64]:
    """The distance of each pixel to its nearest point, float64 (N,); infinite beyond ``most``."""
    if not len(points):
        return np.full(len(pixels), np.inf)
    # KDTree leaves out its bound itself.
    bound = float(np.nextafter(most, np.inf))
    return np.asarray(KDTree(points).query(pixels, distance_upper_bound=bound)[0])


Points: TypeAlias = "dict[str, list[tuple[float, float, str]]]"
"""The points that an edit ``removed`` and ``added``, (y, x, class), as recipes store them."""


def edit_between(before: Layout, after: Layout) -> Points:
    """The points removed from and added to ``before`` to get ``after``, on the same canvas."""

    def points(of: Layout) -> set[tuple[float, float, str]]:
        rows = zip(of.centroids, of.class_ids, strict=True)
        return {(float(y), float(x), of.classes.names[c]) for (y, x), c in rows}

    old, new = points(before), points(after)
    return {"removed": sorted(old - new), "added": sorted(new - old)}


def undone(layout: Layout, edit: Mapping[str, Any]) -> Layout:
    """The layout before an edit; the points that it removed come last.

    Raises KeyError, TypeError or ValueError if ``edit``, which comes from a file, is malformed.
    """
    added = {(float(y), float(x), str(name)) for y, x, name in edit["added"]}
    names = layout.classes.names
    kept = [
        row
        for row, ((y, x), c) in enumerate(zip(layout.centroids, layout.class_ids, strict=True))
        if (float(y), float(x), names[c]) not in added
    ]
    removed: Sequence[tuple[float, float, str]] = edit["removed"]
    points = np.array([[y, x] for y, x, _ in removed], np.float32).reshape(-1, 2)
    ids = np.array([layout.classes.index(name) for _, _, name in removed], np.uint8)
    return replace(
        layout,
        centroids=np.concatenate([layout.centroids[kept], points]),
        class_ids=np.concatenate([layout.class_ids[kept], ids]),
    )


def same_layout(first: Layout, second: Layout) -> bool:
    """Whether two layouts have the same canvas and points, in the order that instance ids follow."""
    return (
        first.shape == second.shape
        and first.mpp == second.mpp
        and first.classes == second.classes
        and np.array_equal(first.centroids, second.centroids)
        and np.array_equal(first.class_ids, second.class_ids)
    )
