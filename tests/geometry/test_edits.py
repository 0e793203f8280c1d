"""Boxes around what changed."""

from __future__ import annotations

import dataclasses

import numpy as np

from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.edits import changed_box, same_layout
from napari_cosynth.types import Layout


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
