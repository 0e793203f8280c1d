"""The brush against brute force: where its points lie, how far apart and how many they are."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from napari_cosynth.layouts.drawn.strokes import Brush, Stroke, covered

SHAPE = (220, 300)
NOTHING = np.zeros((0, 2))
BRUSH = Brush(width=40, spacing=10, least=7)
PATH = [(60.3, 40.2), (60.4, 250.6), (160.7, 250.3), (160.2, 60.4)]


def paint(path=PATH, points=NOTHING, own=None, brush=BRUSH, seed=0, shape=SHAPE, pieces=1):
    """All points of a stroke along a path, every segment of which is cut into pieces."""
    own = np.ones(len(points), bool) if own is None else own
    stroke = Stroke(brush, shape, points, own, seed)
    found = [stroke.extend(path[0])]
    for start, end in pairwise(path):
        for part in np.linspace(0, 1, pieces + 1)[1:]:
            found.append(stroke.extend(tuple(np.array(start) + part * np.subtract(end, start))))
    return np.concatenate(found)


def distance_to(path, points):
    """By brute force: to the nearest of many positions along the path."""
    dense = np.concatenate([np.linspace(a, b, 250) for a, b in pairwise(path)] or [path])
    return cdist(points, dense).min(1)


def swept_area(path, radius):
    pixels = np.argwhere(np.ones(SHAPE, bool))
    return int((distance_to(path, pixels) <= radius).sum())


@pytest.mark.parametrize("pieces", [1, 7, 60])
def test_points_lie_under_the_brush_apart_and_at_their_density(pieces):
    expected = swept_area(PATH, 20) / 10**2
    counts = []
    for seed in range(6):
        points = paint(seed=seed, pieces=pieces)
        # A dart may lie anywhere on a pixel whose centre is covered.
        assert distance_to(PATH, points).max() <= 20 + 0.75
        assert pdist(points).min() >= 7
        counts.append(len(points))
    assert np.mean(counts) == pytest.approx(expected, rel=0.04)


def test_no_part_of_the_stroke_is_left_empty():
    points = paint(pieces=30)
    swept = np.argwhere(np.ones(SHAPE, bool))
    swept = swept[distance_to(PATH, swept) <= 12]
    assert cdist(swept, points).min(1).max() < 20


def test_other_nuclei_keep_their_distance_but_are_not_counted():
    rng = np.random.default_rng(0)
    others = rng.uniform(0, SHAPE, (60, 2))
    points = paint(points=others, own=np.zeros(60, bool))
    assert cdist(points, others).min() >= 7
    assert len(points) > 0.7 * len(paint())


def test_a_second_stroke_over_the_same_place_adds_next_to_nothing():
    first = paint(pieces=20)
    for seed in range(1, 4):
        assert len(paint(points=first, seed=seed, pieces=20)) < 0.08 * len(first)


def test_going_back_and_forth_within_a_stroke_counts_once():
    there = paint(PATH[:2], pieces=10)
    back_and_forth = paint([*PATH[:2], *PATH[:2], *PATH[:2]], pieces=10)
    assert len(back_and_forth) == pytest.approx(len(there), abs=4)


def test_too_dense_a_wish_is_packed_as_far_as_it_goes():
    points = paint(brush=Brush(40, 3, 8), pieces=5)
    area = swept_area(PATH, 20)
    assert pdist(points).min() >= 8
    coverage = len(points) * np.pi * 4**2 / area
    assert coverage > 0.5  # random discs jam at 0.547


def test_a_stroke_beyond_the_canvas_stays_on_it():
    points = paint([(-15.0, -15.0), (10.0, 320.0), (400.0, 400.0)])
    assert len(points)
    assert (points >= -0.5).all() and (points < np.array(SHAPE) - 0.5).all()
    assert not len(paint([(-100.0, -100.0), (-100.0, 500.0)]))


def test_a_click_is_a_disc_and_the_seed_decides():
    one, same, other = (paint([(100.0, 100.0)], seed=seed) for seed in (3, 3, 4))
    assert 6 <= len(one) <= 14
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_covered_is_the_distance_to_the_segment():
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 100, (500, 2))
    for start, end in (((20, 30), (70, 80)), ((50, 50), (50, 50))):
        expected = distance_to([start, end], points) <= 15
        close = abs(distance_to([start, end], points) - 15) < 0.05
        found = covered(points, start, end, 15)
        np.testing.assert_array_equal(found[~close], expected[~close])


@pytest.mark.parametrize("values", [(0, 5, 4), (9, 0, 4), (9, 5, -1), (float("nan"), 5, 4)])
def test_a_brush_without_a_size_is_refused(values):
    with pytest.raises(ValueError, match="brush: "):
        Brush(*values)
