"""Fréchet and kernel distances against scipy's matrix root, closed forms and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from napari_cosynth.evaluation.metrics.distances import (
    frechet_distance,
    inception_score,
    kernel_distance,
)
from napari_cosynth.evaluation.metrics.labels import class_percentages, segmentation_distance


def by_root(a: np.ndarray, b: np.ndarray) -> float:
    covariances = [np.cov(v, rowvar=False) for v in (a, b)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    gap = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(gap + np.trace(covariances[0] + covariances[1] - 2 * root))


@pytest.mark.parametrize("rows", [(200, 150), (40, 60)])
def test_frechet_as_by_the_matrix_root(rows):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(2, 12, 12))
    a, b = (rng.normal(size=(n, 12)) @ m for n, m in zip(rows, mix, strict=True))
    assert frechet_distance(a, b + 0.3) == pytest.approx(by_root(a, b + 0.3), rel=1e-9)


def test_frechet_in_closed_form():
    """In one dimension it is the squared difference of means and of standard deviations."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (50, 1)), rng.normal(3, 2, (80, 1))
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_frechet_of_two_gaussians_by_hand():
    """Means 5 apart, covariances diag(2/3, 8/3) and diag(6, 2/3): 25 + 8/3 + 2/3."""
    a = np.array([[1, 0], [-1, 0], [0, 2], [0, -2]])
    b = np.array([[6, 4], [0, 4], [3, 5], [3, 3]])
    assert frechet_distance(a, b) == pytest.approx(25 + 10 / 3)
    # The same pair turned: covariances that are not diagonal.
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(25 + 10 / 3)


def test_frechet_with_fewer_rows_than_features():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(8, 300))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 2) == pytest.approx(300 * 4)
    # A plane in 300 dimensions is the plane alone.
    turn, _ = np.linalg.qr(rng.normal(size=(300, 2)))
    flat = rng.normal(size=(2, 40, 2))
    assert frechet_distance(flat[0] @ turn.T, flat[1] @ turn.T) == pytest.approx(by_root(*flat))


def test_kernel_distance_as_by_loops():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 3)), rng.normal(0.5, 1, size=(5, 3))

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 3 + 1) ** 3)

    aa = np.mean([k(a[i], a[j]) for i in range(7) for j in range(7) if i != j])
    bb = np.mean([k(b[i], b[j]) for i in range(5) for j in range(5) if i != j])
    ab = np.mean([k(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(aa + bb - 2 * ab)


def test_kernel_distance_is_unbiased():
    """Over many pairs of samples of one distribution its mean is 0 within its own error."""
    rng = np.random.default_rng(0)
    values = [kernel_distance(*rng.normal(size=(2, 10, 4))) for _ in range(2000)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(2000)
    assert np.std(values) > 0.05


def test_inception_score_by_hand():
    certain = np.eye(4) * 1000.0
    assert inception_score(certain) == pytest.approx(4)
    assert inception_score(np.ones((5, 4))) == pytest.approx(1)


def test_too_few_rows_are_not_a_number():
    one, two = np.ones((1, 3)), np.ones((2, 3))
    assert np.isnan(frechet_distance(one, two))
    assert np.isnan(kernel_distance(two, one))
    assert np.isnan(inception_score(np.zeros((0, 5))))


def test_segmentation_distance_by_hand():
    """Two classes in opposite shares: both columns differ alike."""

    def label(share: int) -> np.ndarray:
        flat = np.zeros(100, np.uint8)
        flat[:share] = 1
        return flat.reshape(10, 10)

    real = class_percentages([label(10), label(20)], 2)
    made = class_percentages([label(30), label(50)], 2)
    deviations = np.sqrt(50) * np.array([1, 2])
    expected = 2 * (40 - 15) ** 2 + 2 * (deviations[0] - deviations[1]) ** 2
    assert segmentation_distance(real, made) == pytest.approx(expected)


def test_inception_score_by_loops_over_images():
    logits = 3 * np.random.default_rng(0).normal(size=(30, 7))
    shares = [np.exp(row) / sum(np.exp(row)) for row in logits]
    usual = sum(shares) / len(shares)
    divergences = [sum(p * np.log(p / usual)) for p in shares]
    assert inception_score(logits) == pytest.approx(np.exp(np.mean(divergences)))
    assert inception_score(logits + 1000) == pytest.approx(inception_score(logits))
