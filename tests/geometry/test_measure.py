"""Rasters, distances, relabelling and centroids, on shapes worked by hand and on real tiles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_cosynth.geometry.measure import (
    layout_of,
    majority_classes,
    parted,
    relabel,
    snapped_centroids,
)
from napari_cosynth.geometry.raster import distance_map, marker_map, pixels, point_map
from napari_cosynth.types import Layout


def test_point_map_rounds_half_up(layout):
    canvas = point_map(layout)
    assert (canvas > 0).sum() == len(layout)
    assert canvas[10, 12] == 1
    assert canvas[30, 8] == 2
    assert marker_map(layout)[40, 50] == 3


def test_two_points_on_one_pixel_are_both_named(classes):
    centroids = np.array([[3, 3], [9, 9], [9.4, 8.6]], np.float32)
    crowded = Layout(centroids, np.array([1, 1, 2], np.uint8), (16, 16), 0.5, classes)
    with pytest.raises(ValueError, match=r"points 1 and 2 share the pixel \(9, 9\)"):
        pixels(crowded)


def test_distance_by_hand():
    instances = np.zeros((1, 7), np.int32)
    instances[0, 1:6] = 4  # centroid at column 3, farthest pixel 2 away
    expected = [0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0]
    np.testing.assert_allclose(distance_map(instances)[0], expected, rtol=1e-6)


def test_distance_against_brute_force():
    rng = np.random.default_rng(0)
    instances = ndi.label(ndi.gaussian_filter(rng.standard_normal((60, 50)), 2) > 0.05)[0]
    result = distance_map(instances)
    for i in range(1, instances.max() + 1):
        where = np.argwhere(instances == i)
        away = np.linalg.norm(where - where.mean(0), axis=1)
        np.testing.assert_allclose(result[tuple(where.T)], 1 - away / (away.max() + 1), rtol=1e-5)
    assert (result[instances == 0] == 0).all()


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_distance_does_not_change_under_the_eight_orientations(turns, flip):
    rng = np.random.default_rng(1)
    instances = ndi.label(ndi.gaussian_filter(rng.standard_normal((40, 40)), 2) > 0.05)[0]

    def move(array):
        turned = np.rot90(array, turns)
        return turned[:, ::-1] if flip else turned

    np.testing.assert_allclose(
        distance_map(move(instances)), move(distance_map(instances)), atol=1e-6
    )


def test_relabel_splits_what_a_cut_has_parted_and_drops_fragments():
    instances = np.zeros((8, 20), np.int32)
    instances[1:5, 1:5] = 7
    instances[1:5, 8:12] = 7  # the same nucleus, cut in two
    instances[6, 15:18] = 9  # three pixels: a fragment
    parts = relabel(instances, smallest=6)
    assert parts.max() == 2
    assert parts[2, 2] != parts[2, 9]
    assert parts[6, 16] == 0


def test_nuclei_in_parts_are_counted():
    instances = np.zeros((8, 20), np.int32)
    instances[1:5, 1:5] = instances[1:5, 8:12] = instances[6, 0] = 7  # in three
    instances[0, 15:18], instances[2, 19] = 9, 9
    instances[6, 15:18] = 3
    assert parted(instances) == parted(instances, relabel(instances, 1)) == 2
    assert parted(np.zeros((4, 4), np.int32)) == 0


def test_a_concave_nucleus_keeps_its_point(classes):
    ring = np.ones((21, 21), np.int32)
    ring[4:17, 4:17] = 0
    ring[:, 10] = 0  # a horseshoe, broken above
    ring[17:, 10] = 1
    (y, x), *_ = snapped_centroids(ring)
    assert ring[int(y), int(x)] == 1
    assert point_map(layout_of(ring, np.array([2], np.uint8), 0.5, classes)).max() == 2


def test_majority_ignores_background():
    instances = np.array([[1, 1, 1, 2, 2, 0]], np.int32)
    labels = np.array([[0, 0, 2, 1, 1, 3]], np.uint8)
    assert majority_classes(instances, labels, 4).tolist() == [2, 1]


def test_more_than_255_nuclei_keep_their_ids(classes):
    instances = np.zeros((80, 80), np.int32)
    instances[::4, ::4] = np.arange(400).reshape(20, 20) + 1
    parts = relabel(instances, smallest=1)
    assert parts.max() == 400
    found = layout_of(parts, np.ones(400, np.uint8), 0.5, classes)
    assert marker_map(found).max() == 400
