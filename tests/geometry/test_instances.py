"""Instance separation: every case of the report, and real labels."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label as connected
from skimage.segmentation import watershed

from napari_cosynth.geometry.cones import MARGIN, fit_borders
from napari_cosynth.geometry.instances import (
    agreeing_labels,
    report_on,
    separate,
    separate_baseline,
)
from napari_cosynth.geometry.raster import distance_map, marker_map
from napari_cosynth.types import ClassTable, Layout

TABLE = ClassTable.of("a", "b")


def disc(shape, y, x, r):
    grid = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(grid[0] - y, grid[1] - x) <= r


def scene():
    """Two touching discs of class 1 and 2, and one apart of class 1."""
    shape = (48, 48)
    instances = np.zeros(shape, np.int32)
    instances[disc(shape, 12, 12, 7)] = 1
    instances[disc(shape, 12, 25, 7) & (instances == 0)] = 2
    instances[disc(shape, 36, 36, 6)] = 3
    labels = np.array([0, 1, 2, 1], np.uint8)[instances]
    centroids = np.array([[12, 12], [12, 25], [36, 36]], np.float32)
    return (
        instances,
        labels,
        distance_map(instances),
        Layout(centroids, np.array([1, 2, 1], np.uint8), shape, 0.5, TABLE),
    )


def test_ids_name_their_points_and_touching_nuclei_part():
    truth, labels, distance, layout = scene()
    instances, report = separate(labels, distance, layout)
    assert (instances == truth).mean() > 0.99
    assert not any(report.to_json().values())


def test_a_point_without_foreground_is_missed_and_keeps_its_row():
    _, labels, distance, layout = scene()
    labels = labels.copy()
    labels[5:20, 4:19] = 0
    instances, report = separate(labels, distance, layout)
    assert report.missed == (1,)
    assert set(np.unique(instances)) == {0, 2, 3}


def test_foreground_without_a_point_is_spurious_above_n():
    _, labels, distance, layout = scene()
    fewer = Layout(layout.centroids[:2], layout.class_ids[:2], layout.shape, 0.5, TABLE)
    instances, report = separate(labels, distance, fewer)
    assert report.spurious == (3,)
    assert instances[36, 36] == 3
    assert np.array_equal(labels > 0, instances > 0)


def test_another_majority_class_is_flagged():
    _, labels, distance, layout = scene()
    swapped = Layout(layout.centroids, np.array([1, 2, 2], np.uint8), layout.shape, 0.5, TABLE)
    instances, report = separate(labels, distance, swapped)
    assert report.flagged == (3,)
    assert agreeing_labels(instances, labels, 3)[36, 36] == 1


def test_two_peaks_under_one_point_are_merged():
    _, labels, distance, layout = scene()
    one = Layout(layout.centroids[[0, 2]], layout.class_ids[[0, 2]], layout.shape, 0.5, TABLE)
    labels = (labels > 0).astype(np.uint8)
    _, report = separate(labels, distance, one)
    assert report.merged == (1,)


def test_an_empty_layout_and_an_empty_canvas():
    empty = Layout(np.zeros((0, 2)), np.zeros(0), (20, 20), 0.5, TABLE)
    blank = np.zeros((20, 20), np.uint8)
    instances, report = separate(blank, np.zeros((20, 20), np.float32), empty)
    assert instances.max() == 0
    assert not any(report.to_json().values())
    blob = blank.copy()
    blob[5:9, 5:9] = 1
    assert separate(blob, blob.astype(np.float32), empty)[1].spurious == (1,)
    two = Layout(np.array([[3, 3], [9, 9]]), np.array([1, 2]), (20, 20), 0.5, TABLE)
    instances, report = separate(blank, np.zeros((20, 20), np.float32), two)
    assert instances.max() == 0 and report.missed == (1, 2)


def test_baselines_know_no_points():
    truth, labels, distance, _ = scene()
    parts = separate_baseline(labels, distance, "connected components")
    assert len(np.unique(parts[truth > 0])) == 3  # the classes differ where the discs touch
    maxima = separate_baseline(labels, distance, "distance maxima")
    assert len(np.unique(maxima[truth > 0])) == 3
    with pytest.raises(ValueError, match="expected"):
        separate_baseline(labels, distance, "points")


def test_real_labels_come_back(data_root):
    """From a real tile's labels, distance and points, nearly every nucleus returns as it was."""
    from napari_cosynth.datasets.published.consep import ConsepDataset
    from napari_cosynth.records.resample import resample

    record = resample(ConsepDataset(data_root / "consep/train", only=["train_6"])[0], 0.5)
    instances, report = separate(record.labels, record.distance, record.layout)
    assert not report.missed
    assert not report.spurious
    dice = []
    for i in range(1, len(record.layout) + 1):
        a, b = instances == i, record.instances == i
        dice.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    assert np.mean(dice) > 0.99


def test_an_elongated_nucleus_does_not_take_its_neighbours_rim():
    """Its flanks are high on the distance map, so a watershed alone floods over them."""
    shape = (40, 60)
    y, x = np.ogrid[:40, :60]
    truth = np.zeros(shape, np.int32)
    truth[((y - 14) / 4.0) ** 2 + ((x - 30) / 22.0) ** 2 <= 1] = 1
    truth[((y - 27) / 9.5) ** 2 + ((x - 30) / 9.5) ** 2 <= 1] = 2
    layout = Layout(np.array([[14, 30], [27, 30]]), np.array([1, 1]), shape, 0.5, TABLE)
    labels, distance = (truth > 0).astype(np.uint8), distance_map(truth)
    alone = watershed(-distance, marker_map(layout), mask=truth > 0)
    instances, _ = separate(labels, distance, layout)
    assert (alone != truth).sum() >= 7
    assert (instances != truth).sum() <= 2


def test_borders_move_only_between_points_and_leave_the_foreground():
    rng = np.random.default_rng(0)
    _, labels, distance, layout = scene()
    noisy = (distance + 0.1 * rng.standard_normal(distance.shape)).clip(0, 1).astype(np.float32)
    fewer = Layout(layout.centroids[:2], layout.class_ids[:2], layout.shape, 0.5, TABLE)
    instances, report = separate(labels, noisy, fewer)
    assert report.spurious == (3,)
    assert np.array_equal(instances > 0, labels > 0)
    for i in (1, 2):
        assert connected(instances == i, return_num=True)[1] == 1


def test_every_point_keeps_its_own_pixel_whatever_the_distance_says():
    """An untrained model's distance map fits no cone; its points must not lose their nuclei."""
    rng = np.random.default_rng(0)
    _, labels, distance, layout = scene()
    for _ in range(5):
        noise = rng.random(distance.shape).astype(np.float32)
        instances, report = separate(labels, noise, layout)
        assert not report.missed
        for row, (y, x) in enumerate(layout.centroids.astype(int), start=1):
            assert instances[y, x] == row


def test_a_report_of_edited_instances():
    _, labels, distance, layout = scene()
    instances, report = separate(labels, distance, layout)
    assert report_on(instances, labels, distance, layout) == report
    edited = instances.copy()
    edited[edited == 2], edited[0:2, 0:2] = 0, 40
    swapped = np.where(edited == 3, np.uint8(2), labels)
    found = report_on(edited, swapped, distance, layout).to_json()
    assert {k: v for k, v in found.items() if v} == {
        "missed": [2],
        "spurious": [40],
        "flagged": [3],
    }


def test_a_border_moves_for_a_fit_that_is_better_by_the_margin_and_for_no_less():
    """Two cones of radius 20, and a column of pixels that lies on the wrong side of their border."""
    y, x = np.mgrid[:31, :41]
    layout = Layout(np.array([[15, 10.0], [15, 30.0]]), np.array([1, 1]), (31, 41), 0.5, TABLE)
    one, two = (np.hypot(y - 15, x - c) for c in (10, 30))
    inside = np.minimum(one, two) < 20
    truth = np.where(inside, np.where(one <= two, 1, 2), 0).astype(np.int32)
    exact = (1 - np.minimum(one, two) / 20).clip(0, 1).astype(np.float32)
    wrong = truth.copy()
    wrong[10:21, 21] = 1  # a pixel too far: its own cone fits better by 0.08 to 0.1
    assert np.array_equal(fit_borders(wrong, exact, layout)[10:21], truth[10:21])
    # A fit that is better by less than the margin decides nothing.
    even = exact.copy()
    even[10:21, 21] = (1 - (one + two) / 40)[10:21, 21] + 0.25 * MARGIN
    assert np.array_equal(fit_borders(wrong, even, layout)[10:21, 21], wrong[10:21, 21])
