"""Horizontal and vertical maps, by hand and under turns."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.records.augment import turn
from napari_cosynth.records.base import make_record
from napari_cosynth.segmenter.targets import offset_maps, targets
from napari_cosynth.types import ClassTable


def test_a_nucleus_of_three_by_five_by_hand():
    instances = np.zeros((5, 7), np.int32)
    instances[1:4, 1:6] = 4
    horizontal, vertical = offset_maps(instances)
    np.testing.assert_allclose(horizontal[1:4, 1:6], [[-1, -0.5, 0, 0.5, 1]] * 3)
    np.testing.assert_allclose(vertical[1:4, 1:6], [[-1] * 5, [0] * 5, [1] * 5])
    assert not horizontal[instances == 0].any() and not vertical[instances == 0].any()


def test_each_side_is_scaled_by_its_own_farthest_pixel():
    """Pixels at x = 0, 0, 0, 1, 4: the centroid is 1, offsets -1, -1, -1, 0, 3."""
    instances = np.zeros((3, 5), np.int32)
    instances[:, 0] = 1
    instances[1, 1] = instances[1, 4] = 1
    horizontal, _ = offset_maps(instances)
    np.testing.assert_allclose(horizontal[:, 0], -1)
    assert horizontal[1, 1] == 0
    assert horizontal[1, 4] == 1


def test_touching_nuclei_jump_from_one_to_minus_one():
    instances = np.repeat([[1, 1, 1, 2, 2, 2]], 3, 0).astype(np.int32)
    horizontal, _ = offset_maps(instances)
    np.testing.assert_allclose(horizontal[0], [-1, 0, 1, -1, 0, 1])


def test_a_single_pixel_and_an_empty_map():
    instances = np.zeros((3, 3), np.int32)
    assert not offset_maps(instances).any()
    instances[1, 1] = 1
    assert not offset_maps(instances).any()


@pytest.mark.parametrize("quarter_turns", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_targets_are_made_after_the_patch_is_turned(quarter_turns, flip):
    """Turning the maps as images would be wrong: a mirrored horizontal map changes its sign."""
    rng = np.random.default_rng(1)
    instances = np.zeros((12, 12), np.int32)
    instances[1:6, 2:5] = 1
    instances[7:10, 3:11] = 2
    image = rng.integers(0, 255, (12, 12, 3)).astype(np.uint8)
    labels = (instances > 0).astype(np.uint8)
    record = make_record(image, instances, labels, ClassTable.of("a"), 0.5)
    turned = turn(record, quarter_turns, flip)
    horizontal, vertical = targets([turned]).offsets[0].numpy()
    for k in (1, 2):
        y, x = np.nonzero(turned.instances == k)
        assert ((horizontal[y, x] > 0) == (x > x.mean())).all()
        assert ((vertical[y, x] > 0) == (y > y.mean())).all()
    back = np.rot90(horizontal[:, ::-1] if flip else horizontal, -quarter_turns)
    if flip and quarter_turns == 0:
        np.testing.assert_allclose(back, -offset_maps(record.instances)[0])
