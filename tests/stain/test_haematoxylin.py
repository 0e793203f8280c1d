"""Nuclei that do not look like nuclei: no darker than around, or small for their class."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_cosynth.stain import haematoxylin as haematoxylin_module
from napari_cosynth.stain.haematoxylin import AROUND, _means, haematoxylin, ink_share, judged
from napari_cosynth.types import ClassTable, Layout, Record, Report

PINK, VIOLET, PALE = (230, 170, 200), (110, 80, 150), (240, 200, 215)


def record(classes: ClassTable) -> Record:
    """Discs of 7 px radius: violet, pale, violet at the rim, a violet one of 3, and a gap in the ids."""
    y, x = np.indices((64, 96))
    instances = np.zeros((64, 96), np.int32)
    image = np.full((64, 96, 3), PINK, np.uint8)
    discs = {1: (16, 20, 7, VIOLET), 2: (16, 45, 7, PALE), 4: (40, 2, 3, VIOLET)}
    discs |= {5: (40, 60, 3, VIOLET), 6: (40, 80, 7, VIOLET)}
    for number, (cy, cx, radius, colour) in discs.items():
        disc = np.hypot(y - cy, x - cx) <= radius
        instances[disc], image[disc] = number, colour
    points = [(16, 20), (16, 45), (60, 90), (40, 2), (40, 60), (40, 80)]
    ids = np.array([1, 1, 1, 1, 1, 2])
    labels = np.concatenate([[0], ids])[instances].astype(np.uint8)
    layout = Layout(np.array(points), ids, (64, 96), 0.5, classes)
    return Record(image, instances, labels, np.zeros((64, 96), np.float32), layout, 0.5, "", "")


def test_pale_and_small_nuclei_are_named(classes: ClassTable) -> None:
    name = classes.names[1]
    found = judged(Report(missed=(3,)), record(classes), {name: 149 / 4})
    # Of the two small ones that at the rim may be cut; the class of the sixth has no known area.
    assert found == Report(missed=(3,), pale=(2,), small=(5,))
    assert judged(Report(), record(classes), {}).small == ()
    assert judged(Report(), record(classes), {name: 200.0}).small == (1, 2, 5)
    # A disc has 149 pixels of 0.25 µm²: just above half of 74 µm², just below half of 75.
    assert judged(Report(), record(classes), {name: 74.0}).small == (5,)
    assert judged(Report(), record(classes), {name: 75.0}).small == (1, 2, 5)


def test_what_other_nuclei_hold_is_not_around(classes: ClassTable) -> None:
    """A nucleus between darker ones is compared with the background alone."""
    crowd = record(classes)
    image, instances = crowd.image.copy(), crowd.instances.copy()
    y, x = np.indices(instances.shape)
    away = np.hypot(y - 16, x - 20)
    ring = (away > 7) & (away <= 10.5) & (y != 16)
    image[ring], instances[ring] = (40, 20, 90), 7
    labels = np.where(ring, 1, crowd.labels).astype(np.uint8)
    crowd = dataclasses.replace(crowd, image=image, instances=instances, labels=labels)
    assert judged(Report(), crowd, {}).pale == (2,)


def test_only_what_lies_close_is_around(classes: ClassTable) -> None:
    """A violet nucleus in a halo that is darker yet, on pale ground further away."""
    alone = record(classes)
    image, instances = alone.image.copy(), np.where(alone.instances == 6, 6, 0).astype(np.int32)
    away = np.hypot(*(np.indices(instances.shape) - np.array([40, 80])[:, None, None]))
    image[(away > 7) & (away <= 12)] = (40, 20, 90)
    halo = dataclasses.replace(
        alone, image=image, instances=instances, labels=(instances > 0).astype(np.uint8)
    )
    assert judged(Report(), halo, {}).pale == (6,)


def test_bands_change_nothing(classes: ClassTable, monkeypatch: pytest.MonkeyPatch) -> None:
    name = classes.names[1]
    whole = judged(Report(), record(classes), {name: 149 / 4})
    for rows in (7, 16):
        monkeypatch.setattr(haematoxylin_module, "BAND", rows)
        assert judged(Report(), record(classes), {name: 149 / 4}) == whole


def test_means_against_brute_force(classes: ClassTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each background pixel close enough counts for the instance nearest to it, at every rim."""
    monkeypatch.setattr(haematoxylin_module, "BAND", 16)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (64, 96, 3)).astype(np.uint8)
    instances = np.zeros((64, 96), np.int32)
    corners = [(0, 0), (0, 50), (15, 70), (30, 94), (31, 20), (63, 0), (62, 60)]
    for number, (y, x) in enumerate(corners, start=1):
        instances[y : y + 3, x : x + 4] = number
    scene = dataclasses.replace(record(classes), image=image, instances=instances)
    inside, around = _means(scene, 9)
    stain, margin = haematoxylin(image).astype(float), AROUND / scene.mpp
    grid = np.indices(instances.shape)
    away = np.stack(
        [
            np.hypot(*(grid[..., None] - np.argwhere(instances == n).T[:, None, None])).min(-1)
            for n in range(1, 8)
        ]
    )
    for n in range(1, 8):
        own = (instances == 0) & (away[n - 1] <= margin) & (away.argmin(0) == n - 1)
        np.testing.assert_allclose(inside[n], stain[instances == n].mean(), rtol=1e-5)
        np.testing.assert_allclose(around[n], stain[own].mean(), rtol=1e-5)
    assert np.isnan(inside[[0, 8]]).all() and np.isnan(around[[0, 8]]).all()


def test_an_empty_record_is_judged_too(classes: ClassTable) -> None:
    empty = dataclasses.replace(record(classes), instances=np.zeros((64, 96), np.int32))
    assert judged(Report(), empty, {classes.names[1]: 9.0}) == Report()


def test_haematoxylin_is_none_where_there_is_ink() -> None:
    image = np.array([[VIOLET, (20, 120, 200), (45, 35, 40)]], np.uint8)
    stain = haematoxylin(image)[0]
    assert stain[0] > 0.05 and (stain[1:] == 0).all()
    assert ink_share(image) == pytest.approx(2 / 3)
