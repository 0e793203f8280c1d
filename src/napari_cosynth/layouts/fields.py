"""Smooth Gaussian random fields, correlated between classes: where tissue is dense and of what.

A linear model of coregionalisation: ``C_ij(r) = sum_s A_s[i, j] exp(-r² / (2 s²))`` with a positive
semidefinite matrix per scale. Drawn by smoothing white noise, so that a canvas of any size has neither
blocks nor a period, at a cost linear in its area.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.ndimage import gaussian_filter, map_coordinates

Floats = npt.NDArray[np.float64]

_STEPS = 6
"""Nodes of the noise per scale: the field is smooth between them."""


def _factor(matrix: Floats) -> Floats:
    """L with L Lᵀ = the matrix, for positive semidefinite ones too."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def draw_fields(
    covariances: Sequence[Floats],
    scales: Sequence[float],
    shape: tuple[int, int],
    spacing: float,
    rng: np.random.Generator,
) -> Floats:
    """Fields of mean 0, float64 (K, h, w), at the centres of squares of ``spacing`` µm.

    Args:
        covariances: A_s, (K, K) each.
        scales: s in µm, one for each.
    """
    total = np.zeros((len(covariances[0]), *shape))
    centres = [(np.arange(n) + 0.5) * spacing for n in shape]
    for matrix, scale in zip(covariances, scales, strict=True):
        step = scale / _STEPS
        sigma = _STEPS / np.sqrt(2)  # noise smoothed by s/sqrt(2) correlates over s
        margin = int(np.ceil(4 * sigma)) + 2
        nodes = [int(np.ceil(n * spacing / step)) + 2 * margin for n in shape]
        places = np.meshgrid(*(c / step + margin - 0.5 for c in centres), indexing="ij")
        white = rng.standard_normal((len(matrix), *nodes))
        smooth = np.stack([gaussian_filter(w, sigma, mode="wrap", truncate=4) for w in white])
        smooth *= 2 * sigma * np.sqrt(np.pi)  # to variance 1
        fine = np.stack([map_coordinates(f, places, order=3, mode="nearest") for f in smooth])
        total += np.tensordot(_factor(matrix), fine, 1)
    return total


def covariance(covariances: Sequence[Floats], scales: Sequence[float], squared: Floats) -> Floats:
    """C at squared distances in µm² of any shape, (..., K, K)."""
    return np.asarray(
        sum(
            np.exp(-squared / (2 * s * s))[..., None, None] * a
            for a, s in zip(covariances, scales, strict=True)
        )
    )


def condition_fields(
    fields: Floats,
    spacing: float,
    covariances: Sequence[Floats],
    scales: Sequence[float],
    places: Floats,
    values: Floats,
    noise: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Fields that agree with noisy values at some places, by kriging of the difference.

    Args:
        fields: drawn without knowing them, (K, h, w), as ``draw_fields`` gives them.
        places: (P, 2) in µm from the fields' corner; values: (P, K) observed there.
        noise: variances of the observations (P, K).
    """
    count, height, width = fields.shape
    number = len(places)
    rows, columns = (
        np.clip((v / spacing).astype(np.int64), 0, n - 1)
        for v, n in zip(places.T, (height, width), strict=True)
    )
    between = covariance(covariances, scales, _squared(places, places))
    matrix = between.transpose(0, 2, 1, 3).reshape(number * count, number * count)
    matrix[np.diag_indices_from(matrix)] += noise.ravel()
    # The drawn fields are observed with noise too, so that what is uncertain stays as variable.
    seen = fields[:, rows, columns].T + np.sqrt(noise) * rng.standard_normal(noise.shape)
    difference = values - seen
    weights = cho_solve(cho_factor(matrix), difference.ravel())
    centres = (np.stack(np.mgrid[:height, :width], -1).reshape(-1, 2) + 0.5) * spacing
    change = np.zeros((len(centres), count))
    for chunk in np.array_split(np.arange(len(centres)), len(centres) * number // 200_000 + 1):
        cross = covariance(covariances, scales, _squared(centres[chunk], places))
        flat = cross.transpose(0, 2, 1, 3).reshape(len(chunk) * count, number * count)
        change[chunk] = (flat @ weights).reshape(len(chunk), count)
    return fields + change.T.reshape(fields.shape)


def _squared(first: Floats, second: Floats) -> Floats:
    return np.asarray(((first[:, None] - second[None]) ** 2).sum(-1))
