"""Outlines against shapely and there and back."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy import ndimage as ndi
from shapely.geometry import MultiPolygon, Polygon

from napari_cosynth.geometry.polygons import filled, outlines


def masks():
    rng = np.random.default_rng(0)
    yield np.eye(4, dtype=bool)  # touching at corners only
    ring = np.ones((7, 9), bool)
    ring[2:5, 3:6] = False
    ring[3, 4] = True  # an island in the hole
    yield ring
    corner = np.ones((5, 5), bool)
    corner[1, 1] = corner[2, 2] = False  # holes that touch at a corner
    yield corner
    yield np.ones((1, 1), bool)
    for density in (0.3, 0.5, 0.7):
        yield rng.random((30, 41)) < density


def shapes(mask, offset=(0, 0)):
    return MultiPolygon([Polygon(p[0], p[1:]) for p in outlines(mask, offset)])


@pytest.mark.parametrize("mask", masks())
def test_polygons_are_valid_and_cover_exactly_the_mask(mask):
    shape = shapes(mask, (3, 5))
    assert shape.is_valid, shapely.is_valid_reason(shape)
    assert shape.area == mask.sum()
    assert len(shape.geoms) == ndi.label(mask)[1]
    y, x = np.indices(mask.shape)
    inside = shapely.contains_xy(shape, x.ravel() + 5.5, y.ravel() + 3.5).reshape(mask.shape)
    np.testing.assert_array_equal(inside, mask)
    for polygon in shape.geoms:
        assert polygon.exterior.is_ccw
        assert not any(hole.is_ccw for hole in polygon.interiors)


@pytest.mark.parametrize("mask", masks())
def test_there_and_back(mask):
    polygons = [[np.array(r, float) for r in p] for p in outlines(mask, (3, 5))]
    back, (y, x) = filled(polygons, (60, 60))
    whole = np.zeros((60, 60), bool)
    whole[y : y + back.shape[0], x : x + back.shape[1]] = back
    expected = np.zeros((60, 60), bool)
    expected[3 : 3 + mask.shape[0], 5 : 5 + mask.shape[1]] = mask
    np.testing.assert_array_equal(whole, expected)


def test_what_lies_off_the_canvas_is_cut():
    square = [[np.array([[-3, -3], [2, -3], [2, 2], [-3, 2]], float)]]
    mask, corner = filled(square, (10, 10))
    assert corner == (0, 0)
    assert mask.sum() == 4
    away = [[square[0][0] + 100]]
    assert filled(away, (10, 10))[0].size == 0


def test_filling_agrees_with_shapely():
    rng = np.random.default_rng(2)
    y, x = np.indices((40, 40))
    for _ in range(20):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
        points = 20 + rng.uniform(5, 18, 12)[:, None] * np.stack(
            [np.cos(angles), np.sin(angles)], 1
        )
        mask, (top, left) = filled([[points]], (40, 40))
        whole = np.zeros((40, 40), bool)
        whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        expected = shapely.contains_xy(Polygon(points), x + 0.5, y + 0.5)
        np.testing.assert_array_equal(whole, expected)
