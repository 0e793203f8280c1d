"""Maps -> nuclei: Sobel's kernels, two touching discs, small nuclei, classes, and a real tile."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.evaluation.metrics.segmentation import aji_counts, overlaps, panoptic
from napari_cosynth.records.resample import resample
from napari_cosynth.segmenter.postprocess import nuclei_instances, sobel_kernels, typed_instances
from napari_cosynth.segmenter.targets import offset_maps


def discs(side: int, *circles: tuple[float, float, float]) -> np.ndarray:
    """Ids 1..N; a pixel of two circles belongs to the nearer centre."""
    y, x = np.indices((side, side))
    away = np.stack([np.hypot(y - cy, x - cx) / r for cy, cx, r in circles])
    return np.where(away.min(0) <= 1, away.argmin(0) + 1, 0).astype(np.int32)


def found_in(instances: np.ndarray, mpp: float) -> np.ndarray:
    return nuclei_instances((instances > 0).astype(float), offset_maps(instances), mpp)


def test_sobels_kernels_are_the_known_ones():
    for side, smoothing, derivative in (
        (3, [1, 2, 1], [-1, 0, 1]),
        (5, [1, 4, 6, 4, 1], [-1, -2, 0, 2, 1]),
    ):
        found = sobel_kernels(side)
        np.testing.assert_allclose(found[0] * sum(smoothing), smoothing)
        np.testing.assert_allclose(found[1] * sum(smoothing), derivative)


@pytest.mark.parametrize("mpp, radius", [(0.25, 14), (0.5, 8)])
def test_two_touching_discs_come_apart_exactly(mpp, radius):
    gap = 2 * radius - 3
    truth = discs(4 * radius + 8, (20, 12 + radius, radius), (20, 12 + radius + gap, radius))
    found = found_in(truth, mpp)
    assert found.max() == 2
    assert {tuple(np.unique(truth[found == k])) for k in (1, 2)} == {(1,), (2,)}


def test_small_nuclei_and_nothing():
    truth = discs(64, (12, 12, 3), (40, 40, 9))
    found = found_in(truth, 0.5)
    np.testing.assert_array_equal(found > 0, truth > 0)
    assert found.max() == 2
    assert not nuclei_instances(np.zeros((8, 8)), np.zeros((2, 8, 8)), 0.5).any()


def test_specks_are_not_nuclei():
    probability = np.zeros((40, 40))
    probability[5, 5:8] = 1
    assert not nuclei_instances(probability, np.zeros((2, 40, 40)), 0.25).any()


def test_an_instance_takes_the_class_of_most_of_its_pixels():
    truth = discs(64, (16, 16, 8), (44, 44, 8))
    types = np.zeros((3, 64, 64))
    types[0] = 0.4
    types[1][truth == 1] = 1
    types[2][16, 12:20] = 2  # a few pixels of another class
    types[2][truth == 2] = 0.3  # below the background everywhere
    instances, class_ids = typed_instances(
        (truth > 0).astype(float), offset_maps(truth), types, 0.5
    )
    assert [int(class_ids[instances[c, c] - 1]) for c in (16, 44)] == [1, 2]


@pytest.mark.parametrize("mpp, least", [(0.25, 0.97), (0.5, 0.95)])
def test_a_real_tile_comes_back_from_its_own_targets(data_root, mpp, least):
    tile = ConsepDataset(data_root / "consep" / "train", only=["train_6"])[0]
    truth = resample(tile, mpp).instances[:500, :500]
    found = found_in(truth, mpp)
    pairs = overlaps(truth, found)
    shared, united = aji_counts(pairs)
    assert shared / united > least
    ones = [np.ones(int(ids.max()), np.int64) for ids in (truth, found)]
    assert panoptic(pairs, *ones, 2).dq[0] > least
