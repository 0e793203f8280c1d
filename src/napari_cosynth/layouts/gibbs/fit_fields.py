"""Fit of the classes' responses to the random fields, from annotated tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from napari_cosynth.layouts.gibbs.statistics import product_density
from napari_cosynth.layouts.gibbs.tiles import Floats, Tile

NODES = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
"""Values of a field at which the responses to it are fitted."""
SCALES = (12.0, 25.0, 50.0)
"""Scales of the fields in µm; larger ones cannot be fitted to tiles of 250 µm."""
EDGES = np.array([8.0, 10, 12, 14, 17, 20, 24, 28, 33, 39, 46, 54, 64, 76, 90, 106, 124])
"""Edges in µm of the bins of distance by which the fields are fitted."""


def within_tile_correlation(
    tiles: Sequence[Tile], count: int, edges: Floats
) -> tuple[Floats, Floats]:
    """Pair correlations within tiles, (K, K, B), and the expected numbers of pairs, (K, K, B).

    Pairs are compared with each tile's own numbers of nuclei, so that differences in density between
    tiles do not count.
    """
    pairs = np.zeros((count, count, len(edges) - 1))
    usual = np.zeros((count, count, 1))
    for tile in tiles:
        own = tile.counts(count).astype(float)
        usual[..., 0] += (np.outer(own, own) - np.diag(own)) / tile.area
        for i in range(count):
            for j in range(i, count):
                density = product_density(
                    tile.of_class(i), tile.of_class(j), tile.extent, edges, i == j
                )
                pairs[i, j] += tile.area * density
                pairs[j, i] = pairs[i, j]
    area = np.pi * np.diff(edges**2)
    return (pairs * area + 1) / (usual * area + 1), usual * area


def _pair_distances(extent: Floats, number: int = 4000) -> Floats:
    rng = np.random.default_rng(0)
    away = rng.uniform(0, 1, (number, 2)) - rng.uniform(0, 1, (number, 2))
    return np.asarray(np.hypot(*(away * extent).T))


def _joint(correlation: Floats, places: Floats) -> Floats:
    """Joint probabilities of two standard normal values with correlations (R,) on a grid, (R, Q, Q)."""
    weight = np.exp(-(places**2) / 2)
    weight /= weight.sum()
    spread = np.maximum(1 - correlation**2, 1e-3)[:, None, None]
    away = places[None, None, :] - correlation[:, None, None] * places[None, :, None]
    given = np.exp(-(away**2) / (2 * spread))
    return np.asarray(weight[:, None] * given / given.sum(-1, keepdims=True))


def fit_responses(
    correlation: Floats,
    pairs: Floats,
    edges: Floats,
    extent: Floats,
    scales: Sequence[float],
    starts: int = 3,
) -> Floats:
    """Responses of the classes to the fields, (K, S, N), by least squares on log g(r).

    g_ij(r) is the product over the fields of E[e_i(G(0)) e_j(G(r))], where e = exp(f) / E[exp(f)]. In a
    tile whose numbers of nuclei are known, this is divided by its mean over the tile. ``correlation`` and
    ``pairs`` (K, K, B) are those of ``within_tile_correlation``; ``extent`` is a tile's (height, width)
    in µm. The best of ``starts`` random starts is returned.
    """
    count, nodes, places = len(correlation), np.array(NODES), np.linspace(-3.2, 3.2, 49)
    upper = np.triu_indices(count)
    middle = (edges[1:] + edges[:-1]) / 2
    usual = np.quantile(_pair_distances(extent), np.linspace(0.01, 0.99, 40))
    radii = np.concatenate([middle, usual])
    joint = np.stack([_joint(np.exp(-(radii**2) / (2 * s * s)), places) for s in scales])
    hat = np.stack([np.interp(places, nodes, row) for row in np.eye(len(nodes))])
    weight = np.sqrt(pairs / (pairs + 100))[upper]
    wanted = np.clip(np.log(correlation), -4, 4)[upper]
    bend = np.diff(np.eye(len(nodes)), 2, axis=0)
    normal = np.exp(-(places**2) / 2)
    normal /= normal.sum()

    def centred(values: Floats) -> Floats:
        response = values.reshape(count, len(scales), len(nodes))
        mean = np.log(np.exp(response @ hat) @ normal)
        return np.asarray(response - mean[..., None])

    def residuals(values: Floats) -> Floats:
        response = centred(values)
        excess = np.exp(response @ hat).transpose(1, 0, 2)[:, None]
        found = np.log(excess @ joint @ excess.transpose(0, 1, 3, 2)).sum(0)
        found = found[:, upper[0], upper[1]].T
        mean = np.log(np.exp(found[:, len(middle) :]).mean(1))
        difference = found[:, : len(middle)] - mean[:, None] - wanted
        rough = response @ bend.T
        return np.concatenate(
            [(weight * difference).ravel(), 0.15 * rough.ravel(), 0.03 * response.ravel()]
        )

    rng = np.random.default_rng(0)
    size = count * len(scales) * len(nodes)
    results = [
        least_squares(residuals, 0.5 * rng.standard_normal(size), max_nfev=60)
        for _ in range(starts)
    ]
    best = min(results, key=lambda result: float(result.cost))
    return centred(best.x)
