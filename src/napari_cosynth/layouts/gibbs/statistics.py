"""Summary functions of class-tagged point patterns in a rectangle; all lengths in micrometres.

Source: Illian, Penttinen, Stoyan and Stoyan, Statistical Analysis and Modelling of Spatial Point
Patterns (2008), chapters 4 and 6.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from napari_cosynth.types import Layout

Floats = npt.NDArray[np.float64]


def micrometres(layout: Layout) -> tuple[Floats, Floats]:
    """Points float64 (N, 2) as (y, x) from the canvas' corner, and its extent (2,), in µm."""
    points = (layout.centroids.astype(np.float64) + 0.5) * layout.mpp
    return points, np.array(layout.shape, np.float64) * layout.mpp


def close_pairs(first: Floats, second: Floats, reach: float) -> tuple[npt.NDArray[np.intp], ...]:
    """Index pairs (into ``first``, into ``second``) of points within ``reach``, int (P,) each."""
    if not len(first) or not len(second):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    found = KDTree(first).query_ball_tree(KDTree(second), reach)
    rows = np.repeat(np.arange(len(found)), [len(f) for f in found])
    return rows, np.array([i for f in found for i in f], np.intp)


def product_density(
    first: Floats, second: Floats, extent: Floats, edges: Floats, same: bool = False
) -> Floats:
    """The second-order product density of two classes in bins of distance, per µm⁴.

    Args:
        first, second: points (N, 2) and (M, 2) in a rectangle of ``extent`` (2,).
        edges: edges of the bins, ascending (B + 1,).
        same: whether both are the same points; a point then makes no pair with itself.

    Returns:
        float64 (B,), with translation correction: unbiased for a stationary process.
    """
    rows, columns = close_pairs(first, second, float(edges[-1]))
    if same:
        rows, columns = (side[rows != columns] for side in (rows, columns))
    away = np.abs(first[rows] - second[columns]) if len(rows) else np.zeros((0, 2))
    overlap = np.maximum(extent - away, 1e-9).prod(1)
    sums, _ = np.histogram(np.hypot(*away.T), edges, weights=1 / overlap)
    return np.asarray(sums / (np.pi * np.diff(edges**2)), np.float64)


def pair_correlation(
    first: Floats, second: Floats, extent: Floats, edges: Floats, same: bool = False
) -> Floats:
    """g(r) of two classes in bins of distance, float64 (B,); 1 means that they ignore each other.

    NaN where a class has no points, or fewer than two with ``same``.
    """
    pairs = len(first) * (len(second) - int(same))
    if pairs <= 0:
        return np.full(len(edges) - 1, np.nan)
    density = product_density(first, second, extent, edges, same)
    return np.asarray(density * extent.prod() ** 2 / pairs, np.float64)


def nearest_distances(first: Floats, second: Floats, same: bool = False) -> Floats:
    """Distance from each first point (N, 2) to the nearest second one, (N,); inf where there is none."""
    if len(second) <= int(same):
        return np.full(len(first), np.inf)
    if not len(first):
        return np.zeros(0)
    distances, _ = KDTree(second).query(first, k=[2] if same else [1])
    return np.asarray(distances[:, 0], np.float64)


def _reduced_sample(distances: Floats, margin: Floats, radii: Floats) -> Floats:
    """Share of distances up to r, (R,), among the points that are at least r from the border."""
    seen = margin[:, None] >= radii
    within = seen & (distances[:, None] <= radii)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(within.sum(0) / seen.sum(0), np.float64)


def _margin(points: Floats, extent: Floats) -> Floats:
    return np.asarray(np.minimum(points, extent - points).min(1, initial=np.inf), np.float64)


def nearest_neighbour(
    first: Floats, second: Floats, extent: Floats, radii: Floats, same: bool = False
) -> Floats:
    """D_ij(r), (R,): share of the first points that have one of the second within r.

    With ``same`` it is G(r). It is border-corrected (reduced sample), and NaN where no point is far
    enough from the border.
    """
    return _reduced_sample(
        nearest_distances(first, second, same), _margin(first, extent), np.asarray(radii, float)
    )


def empty_space(points: Floats, extent: Floats, radii: Floats, spacing: float = 4.0) -> Floats:
    """F(r), (R,): share of the plane within r of a point, from places on a grid of ``spacing`` µm."""
    axes = [np.arange(spacing / 2, side, spacing) for side in extent]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    return _reduced_sample(
        nearest_distances(places, points), _margin(places, extent), np.asarray(radii, float)
    )


def j_function(points: Floats, extent: Floats, radii: Floats) -> Floats:
    """J(r) = (1 - G(r)) / (1 - F(r)), (R,): above 1 for regular, below 1 for clustered points.

    NaN where F is 1.
    """
    g = nearest_neighbour(points, points, extent, radii, same=True)
    f = empty_space(points, extent, radii)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(f < 1, (1 - g) / (1 - f), np.nan), np.float64)
