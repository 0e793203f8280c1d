"""Summary functions against sums over all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.layouts.gibbs.envelopes import crps, score, summaries, usual_classes
from napari_cosynth.layouts.gibbs.statistics import (
    close_pairs,
    empty_space,
    j_function,
    micrometres,
    nearest_neighbour,
    pair_correlation,
    product_density,
)
from napari_cosynth.types import ClassTable, Layout

EXTENT = np.array([60.0, 90.0])
EDGES = np.array([0.0, 5, 12, 20])


@pytest.fixture(scope="module")
def patterns() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.uniform(0, EXTENT, (40, 2)), rng.uniform(0, EXTENT, (25, 2))


@pytest.mark.parametrize("same", [True, False])
def test_product_density_and_pair_correlation(patterns, same):
    first, second = patterns[0], patterns[0] if same else patterns[1]
    expected = np.zeros(3)
    for i, p in enumerate(first):
        for j, q in enumerate(second):
            away = np.abs(p - q)
            bin_ = np.searchsorted(EDGES, np.hypot(*away), side="right") - 1
            if not (same and i == j) and bin_ < 3:
                expected[bin_] += 1 / (EXTENT - away).prod()
    expected /= np.pi * (EDGES[1:] ** 2 - EDGES[:-1] ** 2)
    np.testing.assert_allclose(product_density(first, second, EXTENT, EDGES, same), expected)
    pairs = len(first) * (len(second) - same)
    np.testing.assert_allclose(
        pair_correlation(first, second, EXTENT, EDGES, same),
        expected * EXTENT.prod() ** 2 / pairs,
    )


def test_pair_correlation_of_independent_points_is_1():
    rng = np.random.default_rng(0)
    found = [
        pair_correlation(
            rng.uniform(0, EXTENT, (80, 2)), rng.uniform(0, EXTENT, (80, 2)), EXTENT, EDGES
        )
        for _ in range(100)
    ]
    np.testing.assert_allclose(np.mean(found, 0), 1, atol=0.06)


def test_pair_correlation_without_points_is_nan():
    none = np.zeros((0, 2))
    assert np.isnan(pair_correlation(none, none, EXTENT, EDGES, same=True)).all()
    assert np.isnan(pair_correlation(none[:0], np.ones((3, 2)), EXTENT, EDGES)).all()


@pytest.mark.parametrize("same", [True, False])
def test_nearest_neighbour(patterns, same):
    first, second = patterns[0], patterns[0] if same else patterns[1]
    radii = np.array([2.0, 6, 11, 25])
    away = np.linalg.norm(first[:, None] - second, axis=-1)
    if same:
        np.fill_diagonal(away, np.inf)
    margin = np.minimum(first, EXTENT - first).min(1)
    expected = [(away.min(1)[margin >= r] <= r).mean() for r in radii]
    np.testing.assert_allclose(nearest_neighbour(first, second, EXTENT, radii, same), expected)


def test_empty_space_and_j(patterns):
    radii = np.array([2.0, 6, 11])
    places = np.array([(y, x) for y in np.arange(2, 60, 4) for x in np.arange(2, 90, 4)], float)
    away = np.linalg.norm(places[:, None] - patterns[0], axis=-1).min(1)
    margin = np.minimum(places, EXTENT - places).min(1)
    expected = np.array([(away[margin >= r] <= r).mean() for r in radii])
    found = empty_space(patterns[0], EXTENT, radii)
    np.testing.assert_allclose(found, expected)
    g = nearest_neighbour(patterns[0], patterns[0], EXTENT, radii, same=True)
    np.testing.assert_allclose(j_function(patterns[0], EXTENT, radii), (1 - g) / (1 - expected))


def test_close_pairs(patterns):
    rows, columns = close_pairs(*patterns, 9.0)
    away = np.linalg.norm(patterns[0][:, None] - patterns[1], axis=-1)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        tuple(p) for p in np.argwhere(away <= 9).tolist()
    ]
    assert len(close_pairs(np.zeros((0, 2)), patterns[1], 9.0)[0]) == 0


def test_micrometres_are_from_the_canvas_corner():
    layout = Layout(np.array([[-0.5, 3.5]]), np.array([1]), (10, 20), 0.5, ClassTable.of("a"))
    points, extent = micrometres(layout)
    assert points.tolist() == [[0.0, 2.0]]
    assert extent.tolist() == [5.0, 10.0]


def test_crps_against_all_pairs_of_members():
    rng = np.random.default_rng(1)
    sample, seen = rng.normal(size=(7, 4)), rng.normal(size=4)
    between = np.abs(sample[:, None] - sample[None]).sum((0, 1)) / (7 * 6)
    expected = np.abs(sample - seen).mean(0) - between / 2
    np.testing.assert_allclose(crps(seen, sample), expected)


def test_score_of_an_envelope():
    sample = [np.array([0.0, 1, np.nan]), np.array([1.0, 3, 1])] * 3
    found = score(np.array([0.5, 4, 1]), sample)
    assert found is not None
    assert (found.inside, found.width) == (0.5, 1.5)
    assert score(np.array([0.5, 4, 1]), sample[:4]) is None


def test_summaries_name_every_pair_of_classes():
    rng = np.random.default_rng(0)
    ids = np.repeat([1, 2, 3], [30, 25, 5])
    layout = Layout(rng.uniform(0, 99, (60, 2)), ids, (100, 100), 0.5, ClassTable.of("a", "b", "c"))
    assert usual_classes(layout) == [1, 2]
    assert set(summaries(layout, [1, 2])) == {
        *("g 1 1", "g 1 2", "g 2 2", "D 1 1", "D 1 2", "D 2 1", "D 2 2"),
        *("F 1", "F 2", "J 1", "J 2"),
    }
