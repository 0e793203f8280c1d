"""Distances by a k-d tree against every pair; who stays against a loop; pushing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from napari_cosynth.layouts.drawn.spacing import (
    admitted,
    first_come,
    pushed_apart,
    thinned,
    too_near,
    violators,
)

RNG = np.random.default_rng(0)


def crowd(count: int, side: float = 60.0) -> np.ndarray:
    """Random points, a few on top of each other."""
    points = np.random.default_rng(count).uniform(0, side, (count, 2))
    points[: count // 20] = points[count // 2 : count // 2 + count // 20]
    return points


@pytest.mark.parametrize("least", [0.0, 1.5, 4.0, 100.0])
@pytest.mark.parametrize("count", [0, 1, 2, 120])
def test_pairs_are_those_of_the_whole_distance_matrix(count: int, least: float) -> None:
    points = crowd(count)
    near = np.triu(cdist(points, points) < least, 1) if count else np.zeros((0, 0), bool)
    np.testing.assert_array_equal(too_near(points, least), np.argwhere(near))
    np.testing.assert_array_equal(violators(points, least), (near | near.T).any(1))


def test_the_least_distance_itself_is_allowed() -> None:
    points = np.array([[0.0, 0.0], [0.0, 3.0], [4.0, 3.0]])
    assert not violators(points, 3.0).any()
    assert admitted(points, np.array([[0.0, -3.0]]), 3.0).all()


@pytest.mark.parametrize("seed", range(5))
def test_first_come_is_what_a_loop_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 60
    pairs = np.unique(np.sort(rng.integers(0, count, (150, 2)), 1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    rank = rng.permutation(count)
    beside = np.zeros((count, count), bool)
    beside[pairs[:, 0], pairs[:, 1]] = beside[pairs[:, 1], pairs[:, 0]] = True
    taken = np.zeros(count, bool)
    for thing in np.argsort(rank):
        taken[thing] = not (beside[thing] & taken).any()
    np.testing.assert_array_equal(first_come(count, pairs, rank), taken)


def test_candidates_are_admitted_as_one_after_the_other() -> None:
    candidates, there = crowd(700), crowd(30)  # in more pieces than one
    placed: list[np.ndarray] = list(there)
    one_by_one = []
    for point in candidates:
        free = np.hypot(*(np.array(placed) - point).T).min() >= 3.0
        one_by_one.append(free)
        if free:
            placed.append(point)
    np.testing.assert_array_equal(admitted(candidates, there, 3.0), one_by_one)
    first = np.cumsum(one_by_one) <= 10
    np.testing.assert_array_equal(admitted(candidates, there, 3.0, 10), one_by_one & first)


def test_thinning_removes_few_and_only_what_it_may() -> None:
    points = crowd(150)
    movable = np.arange(150) % 3 > 0
    stays = thinned(points, 3.0, movable)
    assert stays[~movable].all()
    left = too_near(points[stays], 3.0)
    assert not movable[np.flatnonzero(stays)][left].any()  # those that are left may not be moved
    # None was removed for nothing: each that is gone is too near to one that stays.
    gone = np.flatnonzero(~stays)
    assert (cdist(points[gone], points[stays]).min(1) < 3.0).all()
    # A row of three: the middle one goes, not the two at its sides.
    row = np.array([[0.0, 0.0], [0.0, 2.0], [0.0, 4.0]])
    assert thinned(row, 3.0, np.ones(3, bool)).tolist() == [True, False, True]


def test_pushing_makes_room_where_there_is_some() -> None:
    points = crowd(100, 58.0)
    movable = np.ones(100, bool)
    movable[:10] = False
    pushed = pushed_apart(points, 3.0, movable, (60, 60))
    np.testing.assert_array_equal(pushed[~movable], points[~movable])
    fixed = too_near(points[~movable], 3.0)
    assert len(too_near(pushed, 3.0)) == len(fixed)
    on = (pushed >= -0.5).all(1) & (pushed.astype(np.float32) < 59.5).all(1)
    assert on.all()
    # Who was far from everybody stays where it was.
    alone = np.array([[1.0, 1.0], [30.0, 30.0], [30.5, 30.0]])
    moved = pushed_apart(alone, 2.0, np.ones(3, bool), (60, 60))
    np.testing.assert_array_equal(moved[0], alone[0])
    assert np.hypot(*(moved[1] - moved[2])) >= 2.0


def test_a_point_between_two_fixed_ones_gets_away() -> None:
    row = np.array([[10.0, 12.0], [11.0, 12.0], [12.0, 12.0]])
    pushed = pushed_apart(row, 4.0, np.array([False, True, False]), (64, 64))
    np.testing.assert_array_equal(pushed[[0, 2]], row[[0, 2]])
    assert np.hypot(*(pushed[1] - row[[0, 2]]).T).min() >= 4.0


def test_pushing_a_crowd_without_room_ends() -> None:
    points = crowd(200, 20.0)
    pushed = pushed_apart(points, 5.0, np.ones(200, bool), (20, 20), rounds=20)
    assert np.isfinite(pushed).all() and len(too_near(pushed, 5.0)) > 0
