"""Ids on a coarser grid: what covers most, and no nucleus moved against its image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_cosynth.geometry.votes import majority


@pytest.mark.parametrize("shape", [(10, 12), (7, 9), (5, 4), (20, 24), (33, 31)])
def test_each_pixel_takes_what_covers_most_of_it(shape):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 3, (20, 24)) * 5
    found = majority(ids, shape)
    assert found.shape == shape
    fine = ids.repeat(shape[0], 0).repeat(shape[1], 1)  # pixels of the common grid
    blocks = fine.reshape(shape[0], 20, shape[1], 24)
    areas = {value: (blocks == value).sum((1, 3)) for value in (0, 5, 10)}
    if shape[0] > 20:
        y, x = ((np.arange(n) + 0.5) * old / n for n, old in zip(shape, (20, 24), strict=True))
        np.testing.assert_array_equal(found, ids[np.ix_(y.astype(int), x.astype(int))])
        return
    expected = np.zeros(shape, int)
    most = np.zeros(shape)
    for value in (5, 10, 0):  # one above 0 where they cover as much, the smaller first
        ahead = areas[value] > most
        expected[ahead], most[ahead] = value, areas[value][ahead]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("factor", [2, 3, 4, 1.6])
def test_discs_stay_where_they_are(factor):
    y, x = np.indices((240, 240))
    ids = np.zeros((240, 240), int)
    rng = np.random.default_rng(1)
    centres = np.stack(np.meshgrid(range(20, 240, 40), range(20, 240, 40)), -1).reshape(-1, 2)
    centres = centres + rng.uniform(-3, 3, centres.shape)
    for number, (cy, cx) in enumerate(centres, start=1):
        ids[(y - cy) ** 2 + (x - cx) ** 2 < 12**2] = number
    side = round(240 / factor)
    found = majority(ids, (side, side))
    numbers = range(1, len(centres) + 1)
    before = np.array(ndi.center_of_mass(ids > 0, ids, numbers))
    after = (np.array(ndi.center_of_mass(found > 0, found, numbers)) + 0.5) * 240 / side - 0.5
    assert (
        np.abs((after - before).mean(0)).max() < 0.2
    )  # half a pixel by the nearest of an even number


@pytest.mark.parametrize("shape", [(1, 1), (2, 4), (1, 400)])
def test_many_pixels_become_few(shape):
    """Each pair of old pixels was compared: 40 x 56 to one took half a minute."""
    rng = np.random.default_rng(2)
    ids = rng.choice([0, 7, 200, 255], (300, 400), p=[0.1, 0.2, 0.2, 0.5]).astype(np.uint8)
    ids[:, 200:] = rng.choice([0, 7], (300, 200), p=[0.01, 0.99])
    blocks = ids.reshape(shape[0], 300 // shape[0], shape[1], 400 // shape[1])
    counts = np.stack([(blocks == value).sum((1, 3)) for value in range(256)])
    found = majority(ids, shape)
    assert found.dtype == ids.dtype
    np.testing.assert_array_equal(found, counts.argmax(0))
