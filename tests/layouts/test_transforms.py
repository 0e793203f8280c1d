"""Transforms by hand and by what they leave unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from napari_cosynth.layouts.drawn.transforms import jittered, middle, mirrored, rotated, scaled

BOX = np.array([[0.0, 0.0], [0.0, 6.0], [2.0, 6.0]])


def test_a_mirror_keeps_the_bounding_box() -> None:
    np.testing.assert_allclose(mirrored(BOX, 1), [[0, 6], [0, 0], [2, 0]])
    np.testing.assert_allclose(mirrored(BOX, 0), [[2, 0], [2, 6], [0, 6]])
    np.testing.assert_allclose(mirrored(mirrored(BOX, 0), 0), BOX)


def test_a_quarter_turn_is_clockwise_on_the_screen() -> None:
    # To the right of the middle becomes below it: y points down.
    points = np.array([[0.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(rotated(points, 90), [[-1, 1], [1, 1]], atol=1e-12)
    points = np.random.default_rng(0).uniform(0, 50, (20, 2))
    np.testing.assert_allclose(pdist(rotated(points, 37)), pdist(points))
    four = points
    for _ in range(4):
        centre = middle(points)
        four = rotated(np.vstack([four, 2 * centre - four]), 90)[:20]  # a box symmetric about it
    np.testing.assert_allclose(four, points, atol=1e-9)


def test_a_scale_multiplies_all_distances() -> None:
    np.testing.assert_allclose(pdist(scaled(BOX, 1.5)), 1.5 * pdist(BOX))
    np.testing.assert_allclose(middle(scaled(BOX, 1.5)), middle(BOX))
    with pytest.raises(ValueError, match="above 0"):
        scaled(BOX, 0)


def test_jitter_has_its_spread_and_its_seed() -> None:
    points = np.zeros((20_000, 2))
    moved = jittered(points, 2.0, seed=4)
    np.testing.assert_allclose(moved.std(0), 2.0, rtol=0.03)
    np.testing.assert_array_equal(moved, jittered(points, 2.0, seed=4))
    assert not np.array_equal(moved, jittered(points, 2.0, seed=5))
