"""Boxes around what changed."""

from __future__ import annotations

import dataclasses

import numpy as np

from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import changed_box, changed_points, near_changes, same_layout
from napari_cosynth.types import ClassTable, Layout


def test_no_change_is_no_box(layout: Layout) -> None:
    assert changed_box(layout, layout) is None
    shuffled = dataclasses.replace(
        layout, centroids=layout.centroids[::-1], class_ids=layout.class_ids[::-1]
    )
    assert changed_box(layout, shuffled) is None
    assert not same_layout(layout, shuffled)


def test_a_moved_point_counts_at_both_places(layout: Layout) -> None:
    centroids = layout.centroids.copy()
    centroids[0] = (12.4, 15)
    moved = dataclasses.replace(layout, centroids=centroids)
    assert changed_box(layout, moved) == Box(10, 12, 13, 16)


def test_a_retagged_and_a_removed_point(layout: Layout) -> None:
    ids = layout.class_ids.copy()
    ids[2] = 1
    assert changed_box(layout, dataclasses.replace(layout, class_ids=ids)) == Box(40, 50, 41, 51)
    fewer = dataclasses.replace(
        layout, centroids=layout.centroids[1:], class_ids=layout.class_ids[1:]
    )
    assert changed_box(layout, fewer) == Box(10, 12, 11, 13)


def test_a_point_that_hardly_moved_is_no_change_where_that_is_said(layout: Layout) -> None:
    centroids = layout.centroids.copy()
    centroids[0] += (0.3, -0.3)
    centroids[2] += (0, 3)
    moved = dataclasses.replace(layout, centroids=centroids)
    changed = changed_points(layout, moved, within=0.5)
    np.testing.assert_allclose(changed, [layout.centroids[2], centroids[2]])
    assert len(changed_points(layout, moved)) == 4
    none = dataclasses.replace(layout, centroids=np.zeros((0, 2)), class_ids=np.zeros(0))
    assert len(changed_points(none, layout)) == len(layout)


def test_what_is_near_a_change_is_free_but_for_the_cores_of_nuclei_that_stay(
    classes: ClassTable,
) -> None:
    def layout(*points: tuple[float, float]) -> Layout:
        return Layout(np.array(points), np.ones(len(points)), (120, 140), 0.5, classes)

    before = layout((50, 50), (60, 90), (52, 70), (5, 5))
    after = layout((50, 50), (60, 90), (52, 60), (9, 9))
    box = Box(30, 20, 100, 120)
    free = near_changes(before, after, box, reach=20, core=6)
    for y in range(box.y0, box.y1):
        for x in range(box.x0, box.x1):
            away = min(np.hypot(y - 52, x - 70), np.hypot(y - 52, x - 60))
            kept = min(np.hypot(y - 50, x - 50), np.hypot(y - 60, x - 90))
            held = kept <= 6 and kept < away
            assert free[y - box.y0, x - box.x0] == (away <= 20 and not held)
    assert not near_changes(before, before, box, reach=20, core=6).any()


def test_boxes_grow_align_and_stay_on_the_canvas() -> None:
    box = Box(10, 60, 12, 63).grown(4)
    assert box == Box(6, 56, 16, 67)
    assert box.clipped((64, 64)) == Box(6, 56, 16, 64)
    assert box.at_least(16).shape == (16, 16)
    assert box.aligned(16) == Box(0, 48, 16, 80)
    assert box.aligned(16).moved_into((64, 64)) == Box(0, 32, 16, 64)
    assert Box(0, 0, 100, 100).moved_into((64, 48)) == Box(0, 0, 64, 48)
    canvas = np.zeros((64, 64))
    canvas[box.clipped((64, 64)).slices] = 1
    assert canvas.sum() == 10 * 8
