"""Following the points and the amounts asked for, worked by hand; shapes against scikit-image."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from skimage.measure import regionprops

from napari_cosynth.datasets.published.consep import ConsepDataset
from napari_cosynth.evaluation.metrics.labels import amounts, class_percentages
from napari_cosynth.evaluation.metrics.layout import follow
from napari_cosynth.evaluation.metrics.quotients import json_ready
from napari_cosynth.evaluation.metrics.shapes import class_medians, measure_nuclei, wasserstein
from napari_cosynth.records.base import crop
from napari_cosynth.types import ClassTable, Layout, Record

TABLE = ClassTable.of("a", "b", "c")


def hand_record() -> Record:
    """Points 1 and 2 of a, 3 and 4 of b; 2 took the wrong class, 4 is missed, 5 is spurious, 3 has
    two peaks; squares of 4 x 4 pixels but for 3, which is 12 x 12. 0.5 µm/px."""
    instances = np.zeros((40, 40), np.int32)
    instances[2:6, 2:6], instances[2:6, 20:24] = 1, 2
    instances[20:32, 2:14], instances[30:34, 30:34] = 3, 5
    labels = np.array([0, 1, 2, 2, 0, 1], np.uint8)[instances]
    distance = np.where(instances > 0, np.float32(0.4), np.float32(0))
    distance[24:28, 2:5] = distance[24:28, 11:14] = 1
    points = np.array([[3.5, 3.5], [3.5, 23.5], [25.5, 7.5], [10, 35]], np.float32)
    layout = Layout(points, np.array([1, 1, 2, 2], np.uint8), (40, 40), 0.5, TABLE)
    image = np.zeros((40, 40, 3), np.uint8)
    return Record(image, instances, labels, distance, layout, 0.5, "", "stack: sample 0")


def test_by_hand():
    record = hand_record()
    nuclei = measure_nuclei(record)
    assert nuclei.ids.tolist() == [1, 2, 3, 5]
    assert nuclei.class_ids.tolist() == [1, 2, 2, 1]
    assert nuclei.area.tolist() == [4, 4, 36, 4]  # µm²
    found = follow(record, nuclei, np.array([np.nan, 4, 4, np.nan]))
    shares = {k: json_ready(v) for k, v in found.shares().items()}
    assert shares["points with an instance of their class"] == [0.5, 0.5, 0.5, None]
    assert shares["points with one of plausible area"] == [0.25, 0.5, 0, None]  # 3 is too large
    assert shares["missed per point"] == [0.25, 0, 0.5, None]
    assert shares["merged per point"] == [0.25, 0, 0.5, None]
    assert shares["spurious per point"] == [0.25, 0.5, 0, None]
    # Point 1 in the middle, 2 two pixels off, 3 on its centroid.
    assert shares["centroid offset, µm"][0] == pytest.approx((0 + 1 + 0) / 3)


def test_amounts_by_hand():
    record = hand_record()
    made = amounts(record, measure_nuclei(record), np.array([np.nan, 4, 9, np.nan])).errors()
    # Two of each class, as asked for.
    assert made["count error, nuclei per image"].tolist() == [0, 0, 0, 0]
    # a: 8 of 8 µm²; b: 40 of 18.
    np.testing.assert_allclose(
        made["area excess, share of expected"], [48 / 26 - 1, 0, 40 / 18 - 1, np.nan]
    )
    assert class_percentages([record.labels], 4)[0].tolist() == [
        100 - 100 * 192 / 1600,
        2,
        10,
        0,
    ]


def test_nothing_gives_null_and_no_warning():
    empty = Layout(np.zeros((0, 2)), np.zeros(0), (8, 8), 0.5, TABLE)
    zeros = np.zeros((8, 8))
    record = Record(
        np.zeros((8, 8, 3), np.uint8),
        *(zeros.astype(t) for t in (np.int32, np.uint8, np.float32)),
        empty,
        0.5,
        "",
        "",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nuclei = measure_nuclei(record)
        medians = class_medians([nuclei], 4)
        shares = follow(record, nuclei, medians).shares()
        errors = amounts(record, nuclei, medians).errors()
    assert all(v == [None] * 4 for v in json_ready(shares).values())
    assert json_ready(errors["count excess, share of points"]) == [None] * 4
    assert np.isnan(wasserstein(nuclei.area, np.ones(3)))


def test_wasserstein_by_hand():
    assert wasserstein(np.array([0.0, 1.0]), np.array([2.0, 5.0])) == pytest.approx(3)


def test_real_nuclei_as_scikit_image_measures_them(data_root):
    tile = ConsepDataset(data_root / "consep/train", only=["train_6"])[0]
    record = crop(tile, 100, 100, 200, 200)
    nuclei = measure_nuclei(record)
    regions = regionprops(record.instances)
    assert len(regions) == len(nuclei) > 20
    for i, region in enumerate(regions):
        assert nuclei.ids[i] == region.label
        assert nuclei.area[i] == pytest.approx(region.area * tile.mpp**2)
        assert nuclei.eccentricity[i] == pytest.approx(region.eccentricity, abs=1e-6)
        assert nuclei.solidity[i] == pytest.approx(region.solidity)
        np.testing.assert_allclose(nuclei.centroids[i], region.centroid)
    # A real record follows its own layout.
    shares = follow(record, nuclei, class_medians([nuclei], len(record.classes))).shares()
    assert shares["points with an instance of their class"][0] == 1
    assert shares["missed per point"][0] == shares["spurious per point"][0] == 0
    assert shares["centroid offset, µm"][0] < 0.1
