"""Part of a layout, and what changed between two of one canvas, as boxes of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from napari_cosynth.geometry.box import Box
from napari_cosynth.types import Layout


def cut(layout: Layout, box: Box) -> Layout:
    """The points whose pixels lie in a box of the canvas, on a canvas of that box alone."""
    low, high = np.array([box.y0, box.x0]) - 0.5, np.array([box.y1, box.x1]) - 0.5
    inside = ((layout.centroids >= low) & (layout.centroids < high)).all(1)
    centroids = layout.centroids[inside] - np.array([box.y0, box.x0], np.float32)
    return Layout(centroids, layout.class_ids[inside], box.shape, layout.mpp, layout.classes)


def changed_box(before: Layout, after: Layout) -> Box | None:
    """The smallest box around every point that only one of two layouts has; None if there is none.

    A moved or re-tagged point counts at its old and its new place. The order of points is no change.
    """
    one, other = (
        {
            (float(y), float(x), int(c))
            for (y, x), c in zip(layout.centroids, layout.class_ids, strict=True)
        }
        for layout in (before, after)
    )
    different = one ^ other
    if not different:
        return None
    pixels = np.floor(np.array([p[:2] for p in different]) + 0.5).astype(int)
    (y0, x0), (y1, x1) = pixels.min(0), pixels.max(0) + 1
    return Box(int(y0), int(x0), int(y1), int(x1))


Points: TypeAlias = "dict[str, list[tuple[float, float, str]]]"
"""``removed`` and ``added`` points of an edit, (y, x, class), as recipes keep them."""


def edit_between(before: Layout, after: Layout) -> Points:
    """What was done to the points of one layout to get another's on the same canvas."""

    def points(of: Layout) -> set[tuple[float, float, str]]:
        rows = zip(of.centroids, of.class_ids, strict=True)
        return {(float(y), float(x), of.classes.names[c]) for (y, x), c in rows}

    old, new = points(before), points(after)
    return {"removed": sorted(old - new), "added": sorted(new - old)}


def undone(layout: Layout, edit: Mapping[str, Any]) -> Layout:
    """The layout before an edit; the points that were removed come last.

    Raises KeyError, TypeError or ValueError where ``edit``, which is read from a file, is none.
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
    """The same points in the same order, which instance ids follow, on the same canvas."""
    return (
        first.shape == second.shape
        and first.mpp == second.mpp
        and first.classes == second.classes
        and np.array_equal(first.centroids, second.centroids)
        and np.array_equal(first.class_ids, second.class_ids)
    )
