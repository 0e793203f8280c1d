"""Centroids and instances of outlines with holes and parts, against shapely."""

from __future__ import annotations

import numpy as np
from shapely import Point, Polygon, contains_xy
from shapely.ops import unary_union

from napari_cosynth.geometry.outlines import Outline, outline_centroids, outline_instances


def star(rng: np.random.Generator, y: float, x: float, reach: float) -> tuple[np.ndarray, ...]:
    """A random outer ring, or one with a hole, whose vertices run in either direction."""
    angles = 2 * np.pi / 9 * (np.arange(9) + rng.uniform(-0.4, 0.4, 9))
    away = reach * rng.uniform(0.4, 1, 9)
    arms = away[:, None] * np.stack([np.sin(angles), np.cos(angles)], 1)
    rings = ((y, x) + scale * arms for scale in (1.0, 0.5)[: rng.integers(1, 3)])
    return tuple(ring[:: rng.choice([-1, 1])] for ring in rings)


def shape_of(outline: Outline):
    return unary_union([Polygon(outer, holes) for outer, *holes in outline])


def some_outlines(count: int = 30) -> list[Outline]:
    rng = np.random.default_rng(0)
    one = [(star(rng, *rng.uniform(15, 25, 2), 12),) for _ in range(count)]
    return [(*outline, star(rng, 50, *rng.uniform(20, 40, 1), 9)) for outline in one[::2]] + one


def test_centroids_are_shapely_s_or_the_nearest_pixel_inside():
    outlines = some_outlines()
    moved = 0
    for outline, found in zip(outlines, outline_centroids(outlines), strict=True):
        shape = shape_of(outline)
        if shape.contains(shape.centroid):
            np.testing.assert_allclose(found, [shape.centroid.x, shape.centroid.y])
            continue
        moved += 1
        grid = np.argwhere(np.ones((70, 70), bool))
        inside = grid[contains_xy(shape, *grid.T)]
        away = np.hypot(*(inside - [shape.centroid.x, shape.centroid.y]).T)
        assert shape.contains(Point(*found))
        np.testing.assert_allclose(shape.centroid.distance(Point(*found)), away.min())
    assert 10 <= moved <= len(outlines) - 10


def test_what_has_no_area_has_the_mean_of_its_vertices():
    line, vertex = np.array([[2.0, 2], [4, 4], [9, 9]]), np.array([[7.0, 3]])
    tiny = 1e-4 * np.array([[0.0, 0], [0, 1], [1, 0]])  # has one
    found = outline_centroids([((line,),), ((vertex,),), (), ((tiny,),)])
    np.testing.assert_allclose(found[:3], [[5, 5], [7, 3], [0, 0]])
    np.testing.assert_allclose(found[3], 1e-4 * np.array([1 / 3, 1 / 3]))
    assert outline_centroids([(), ()]).tolist() == [[0, 0], [0, 0]]


def test_instances_are_the_pixels_whose_centres_lie_inside_smaller_ones_on_top():
    outlines = some_outlines()
    canvas = np.zeros((40, 33), np.int32)  # cuts the second parts off, and some of the first
    y, x = np.indices(canvas.shape)
    sizes = [max(np.prod(np.ptp(part[0], axis=0)) for part in parts) for parts in outlines]
    for row in np.argsort(-np.array(sizes), kind="stable"):
        canvas[contains_xy(shape_of(outlines[row]), y, x)] = row + 1
    np.testing.assert_array_equal(outline_instances(outlines, canvas.shape), canvas)


def test_outlines_off_the_canvas_leave_nothing_and_those_at_its_end_their_pixels():
    square = np.array([[0.0, 0], [0, 2], [2, 2], [2, 0]])
    away = [((square + shift,),) for shift in ((-9, 1), (1, -9), (20, 1), (1, 20), (-5, -5))]
    assert not outline_instances(away, (8, 8)).any()
    found = outline_instances([((square + 6.5,),), ((square - 1.5,),)], (8, 8))
    assert np.argwhere(found == 1).tolist() == [[7, 7]]
    assert np.argwhere(found == 2).tolist() == [[0, 0]]
