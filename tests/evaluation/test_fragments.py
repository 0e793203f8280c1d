"""Nuclei of samples are counted by the rule of real patches: that of ``crop`` is the oracle."""

from __future__ import annotations

import dataclasses

import numpy as np

from napari_cosynth.evaluation.metrics.fragments import counted
from napari_cosynth.evaluation.metrics.layout import follow
from napari_cosynth.evaluation.metrics.shapes import measure_nuclei
from napari_cosynth.geometry.measure import SMALLEST_FRAGMENT
from napari_cosynth.records.base import crop, make_record
from napari_cosynth.types import ClassTable, Record

TABLE = ClassTable.of("a", "b")


def sample(instances: np.ndarray, points: int) -> Record:
    """A record whose layout has ``points`` rows, of class a, whatever the instances are."""
    instances = instances.astype(np.int32)
    image = np.full((*instances.shape, 3), 200, np.uint8)
    whole = np.zeros(instances.shape, np.int32)
    for i in range(points):
        whole[0, 2 * i] = i + 1
    layout = make_record(image, whole, (whole > 0).astype(np.uint8), TABLE, 0.5).layout
    distance = np.zeros(instances.shape, np.float32)
    labels = (instances > 0).astype(np.uint8)
    return Record(image, instances, labels, distance, layout, 0.5, "", "sample")


def blobs(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 4, (20, 20)), np.ones((2, 2), np.int32))


def test_the_same_nuclei_as_of_a_real_patch():
    for seed in range(5):
        record = sample(blobs(seed), 3)
        real = crop(record, 0, 0, *record.labels.shape)
        ours = counted(record)
        for areas in (SMALLEST_FRAGMENT, 0):
            expected = np.bincount(real.instances.ravel())[1:]
            found = np.bincount(ours.instances.ravel())[1:]
            assert sorted(found[found > areas]) == sorted(expected[expected > areas])
        assert np.array_equal(ours.labels > 0, real.instances > 0)
        assert np.array_equal(ours.labels > 0, ours.instances > 0)


def test_what_a_point_keeps_and_what_is_spurious():
    ids = np.zeros((24, 24), np.int32)
    ids[2:8, 2:8] = 1  # whole
    ids[12:14, 2:6] = ids[12:16, 10:14] = 2  # in two parts: the larger is the point's
    ids[20, 2:7] = 3  # 5 pixels
    ids[20, 12] = 4  # no point asked for it, 1 pixel
    ids[4:8, 14:20] = 5  # no point asked for it
    record = sample(ids, 3)
    ours = counted(record)
    assert (ours.instances[4, 4], ours.instances[13, 12], ours.instances[6, 16]) == (1, 2, 5)
    assert ours.instances[13, 3] == 6
    assert not ours.instances[20].any() and not ours.labels[20].any()
    assert len(ours.layout) == 3
    counts = follow(ours, measure_nuclei(ours), np.array([np.nan, 5, 5]))
    assert (counts.missed[0], counts.spurious[0]) == (1, 2)
    assert counts.points[0] == 3


def test_nothing_changes_where_nothing_has_to():
    ids = np.zeros((12, 12), np.int32)
    ids[2:6, 2:6] = 2
    record = sample(ids, 2)
    assert counted(record) is record
    empty = dataclasses.replace(record, instances=ids * 0, labels=record.labels * 0)
    assert counted(empty) is empty
