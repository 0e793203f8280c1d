"""Intervals against the spread of figures over many data sets made alike."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from napari_cosynth.evaluation.metrics.bootstrap import (
    between,
    bootstrap_weights,
    half_samples,
    weighted_mean,
    weighted_sum,
)
from napari_cosynth.evaluation.metrics.distances import frechet_distance
from napari_cosynth.evaluation.metrics.segmentation import overlaps, panoptic


def test_items_of_a_group_are_drawn_together():
    groups = ["b", "a", "b", "c", "a"]
    weights = bootstrap_weights(groups, draws=50)
    assert weights[0].tolist() == [1] * 5
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 1] == weights[:, 4]).all()
    assert (weights[1:, [0, 1, 3]].sum(1) == 3).all()
    for rows in half_samples(["x", "x", "y", "z", "w"], draws=30):
        chosen = {"xxyzw"[i] for i in rows}
        assert len(chosen) == 2
        assert ("x" in chosen) == (0 in rows) == (1 in rows)


def test_groups_of_the_same_names_draw_alike_in_any_order():
    """So that two stacks made from the same layouts are compared pair by pair."""
    one, other = bootstrap_weights(["a", "b", "c"]), bootstrap_weights(["c", "a", "b"])
    np.testing.assert_array_equal(one[:, [2, 0, 1]], other)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(300):
        tiles = rng.normal(3, 2, 20)
        values = np.repeat(tiles, 5) + rng.normal(0, 1, 100)
        names = [str(i // 5) for i in range(100)]
        low, high = weighted_mean(values, bootstrap_weights(names, trial)).interval
        held += low <= 3 <= high
    assert 0.87 <= held / 300 <= 0.98


def test_halves_spread_as_fresh_sets_do():
    """The spread of a Fréchet distance over halves is that over sets drawn anew."""
    rng = np.random.default_rng(0)

    def sets() -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(0, 1, (60, 3)), rng.normal(0.8, 1.3, (60, 3))

    fresh = np.std([frechet_distance(*sets()) for _ in range(300)])
    groups = [str(i) for i in range(60)]
    spreads = []
    for _ in range(20):
        a, b = sets()

        def distance(i: np.ndarray, j: np.ndarray, a: np.ndarray = a, b: np.ndarray = b) -> float:
            return frechet_distance(a[i], b[j])

        found = between(distance, (groups, groups))
        assert found.draws.mean() == pytest.approx(found.value)
        spreads.append(found.draws.std())
    assert np.mean(spreads) == pytest.approx(fresh, rel=0.25)


def test_counts_drawn_give_each_draws_score():
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 4, (6, 2, 12, 12)).astype(np.int32)
    maps[:, 1] = np.where(rng.random((6, 12, 12)) < 0.8, maps[:, 0], maps[:, 1])
    items = [panoptic(overlaps(a, b), [1, 2, 1], [1, 2, 2], 3) for a, b in maps]
    weights = bootstrap_weights([str(i) for i in range(6)], draws=3)
    drawn = weighted_sum(items, weights)
    for row in range(4):
        chosen = np.repeat(np.arange(6), weights[row].astype(int))
        total = items[chosen[0]]
        for i in chosen[1:]:
            total = total + items[i]
        np.testing.assert_allclose(drawn.pq[row], total.pq)


def test_one_group_and_nothing_have_no_interval():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = weighted_mean([1.0, 2.0], bootstrap_weights(["a", "a"]))
        nothing = weighted_mean([np.nan, np.nan], bootstrap_weights(["a", "b"]))
        halves = between(lambda i, j: float(len(i) + len(j)), (["a"], ["a", "b"]))
    assert alone.value == 1.5 and np.isnan(alone.interval).all()
    assert np.isnan(nothing.value) and np.isnan(nothing.interval).all()
    floored = between(lambda i, j: float(i.sum() + j.sum()), (["a", "b", "c"],) * 2, least=5)
    assert floored.value == 6 and floored.draws.min() >= 5
    assert halves.value == 3 and np.isnan(halves.interval).all()
